/**
 * What stands on the terminal of a login, and what it means: the page that was opened, the code to take to another device,
 * whether a code or an address may be pasted, which keys are wanted. Pure: output in, keys out.
 */
import type { LoginTerminal } from '@airlock/contract/desktop';
import type { LoginMethod, LoginStatus } from '@airlock/contract/guest';
import { callbackOf } from '@airlock/contract/provider/callback';
import type { ProviderLogin } from '@airlock/contract/provider/facts';
import { redactedTail, withoutSecrets } from '../redact.js';
import { findDeviceCode, findPageHost } from './patterns.js';
import type { TerminalSize } from './grid.js';
import { createTerminal } from './terminal.js';

export type ScreenStatus = Pick<LoginStatus, 'pageHost' | 'deviceCode' | 'takesCode' | 'lastOutput'>;

export interface Screen {
  readonly size: TerminalSize;
  /** Takes the next piece of output; returns what is to be typed: the terminal's own answers, and answers to questions. */
  feed(chunk: string): string;
  /** `isFinal`: no more output will come. */
  read(isFinal: boolean): ScreenStatus;
  /** For a person to look at: without secrets, in lines no wider than the terminal. */
  terminal(): LoginTerminal;
  /** From now on this text is shown nowhere. */
  hide(secret: string): void;
}

export const defaultSize: TerminalSize = { columns: 80, rows: 24 };
/** Of a terminal that is shown: lines, and characters in all. */
const shown = { lines: 200, characters: 16_000 } as const;

export function createScreen(login: ProviderLogin, method: LoginMethod): Screen {
  const size = login.terminal ?? defaultSize;
  const terminal = createTerminal(size);
  const secrets: string[] = [];
  const unanswered = new Set(login.answers);
  let pageHost: string | null = null;
  let deviceCode: LoginStatus['deviceCode'] = null;

  function answers(text: string): string {
    let keys = '';
    for (const answer of unanswered) {
      if (!answer.question.test(text)) continue;
      unanswered.delete(answer);
      keys += answer.keys;
    }
    return keys;
  }

  function find(text: string, isFinal: boolean): void {
    pageHost ??= findPageHost(text, login.authorizeUrl, isFinal);
    if (login.opensUnseen?.screen.test(text)) pageHost ??= login.opensUnseen.host;
    if (method === 'browser' || deviceCode !== null) return;
    const patterns = method === 'callback' ? { url: login.authorizeUrl, code: null } : login.deviceCode;
    const found = patterns && findDeviceCode(text, patterns, isFinal);
    if (method === 'callback' && callbackOf(found?.url ?? '') === null) return;
    deviceCode = found;
    if (deviceCode?.code) secrets.push(deviceCode.code);
  }

  const asks = (text: string): boolean =>
    method === 'callback' ? deviceCode !== null : login.pasteCode !== null && login.pasteCode.prompt.test(text);

  return {
    size,
    feed: (chunk) => terminal.feed(chunk) + answers(terminal.text()),
    read: (isFinal) => {
      const text = terminal.text();
      find(text, isFinal);
      return {
        pageHost,
        deviceCode,
        takesCode: !isFinal && asks(text),
        lastOutput: redactedTail(withoutSecrets(text, secrets), 20, 4000),
      };
    },
    terminal: () => {
      const text = redactedTail(withoutSecrets(terminal.text(), secrets), shown.lines, shown.characters);
      return { columns: size.columns, lines: text.split('\n').flatMap(wrapAt(size.columns)).slice(-shown.lines) };
    },
    hide: (secret) => secrets.push(secret),
  };
}

const wrapAt =
  (columns: number) =>
  (line: string): string[] => {
    const characters = [...line];
    const pieces = Math.max(1, Math.ceil(characters.length / columns));
    return Array.from({ length: pieces }, (_, at) => characters.slice(at * columns, (at + 1) * columns).join(''));
  };
