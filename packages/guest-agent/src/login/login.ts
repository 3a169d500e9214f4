/**
 * Drives the login of a CLI: runs it in a terminal, notices when it hands its page to the browser, and when its
 * credential is complete. One at a time; the last one's result stays until the next begins.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import type { LoginStatus } from '@airlock/contract/guest';
import type { ProviderId, ProviderLogin } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import type { CredentialStore } from '../credential/store.js';
import type { Variables } from '../environment.js';
import type { Log } from '../log.js';
import type { UserIds } from '../processes.js';
import { startInPty, type Pty } from './pty.js';
import { redactedTail } from '../redact.js';
import { findPageHost } from './sign-in-page.js';
import { createTerminal, type TerminalSize } from './terminal.js';

export interface LoginDeps {
  home: string;
  user: UserIds;
  variables: () => Variables;
  credentials: CredentialStore;
  log: Log;
  /** A CLI that wrote its credential may take so many milliseconds to end by itself before it is ended. */
  lingerMs: number;
}

export interface Login {
  /** @throws AppError login_running, or provider_unavailable. */
  start(provider: ProviderId): LoginStatus;
  status(): LoginStatus;
  /** Ends the CLI with all that it started, if it runs; resolves when it is gone. */
  stop(): Promise<void>;
  /** The same without grace. */
  kill(): Promise<void>;
}

const size: TerminalSize = { columns: 80, rows: 24 };
/** How often the credential is looked at while the CLI runs. */
const pollMs = 1000;
/** A CLI that ended well may have its last file still on the way to the disk. */
const afterExitMs = 2000;

interface Attempt {
  provider: ProviderId;
  status: LoginStatus;
  pty: Promise<Pty>;
  done: Promise<void>;
}

const idle: LoginStatus = {
  provider: null,
  state: 'idle',
  method: 'browser',
  pageHost: null,
  deviceCode: null,
  takesCode: false,
  exitCode: null,
  lastOutput: '',
};

export function createLogin(deps: LoginDeps): Login {
  let current: Attempt | undefined;
  const isRunning = (): boolean => current?.status.state === 'starting' || current?.status.state === 'browser_opened';

  function start(provider: ProviderId): LoginStatus {
    if (isRunning()) {
      throw new AppError('login_running', `A login for ${current?.provider} is running in this VM.`, {
        hint: 'Wait for its end, or end it with DELETE /login.',
      });
    }
    const { login } = providers[provider];
    if (login === null)
      throw new AppError('provider_unavailable', `The agent cannot drive a login for ${provider} yet.`);
    current = attempt(provider, login, deps);
    return current.status;
  }

  async function end(how: 'stop' | 'kill'): Promise<void> {
    if (!current || !isRunning()) return;
    const { pty, done } = current;
    await pty.then((running) => running[how]()).catch(() => deps.log('The login had not started when it was ended.'));
    await done;
  }

  return { start, status: () => current?.status ?? idle, stop: () => end('stop'), kill: () => end('kill') };
}

function attempt(provider: ProviderId, login: ProviderLogin, deps: LoginDeps): Attempt {
  const terminal = createTerminal(size);
  const status: LoginStatus = { ...idle, provider, state: 'starting' };
  let pty: Pty | undefined;

  function update(isFinal: boolean): void {
    const text = terminal.text();
    status.lastOutput = redactedTail(text, 20, 4000);
    status.pageHost ??= findPageHost(text, login.authorizeUrl, isFinal);
    if (status.pageHost === null || status.state !== 'starting') return;
    status.state = 'browser_opened';
    deps.log('The CLI opened its sign-in page.', { provider, host: status.pageHost });
  }

  const starting = startInPty({
    argv: login.argv,
    env: deps.variables(),
    cwd: deps.home,
    user: deps.user,
    size,
    onOutput: (chunk) => {
      const answers = terminal.feed(chunk);
      if (answers !== '') pty?.write(answers);
      update(false);
    },
  }).then((started) => (pty = started));

  async function follow(): Promise<void> {
    const running = await starting;
    const before = await currentFingerprint(provider, deps);
    const linger = new AbortController();
    const lingered = endLingering(running, provider, before, deps, linger.signal);
    status.exitCode = await running.ended;
    linger.abort();
    update(true);
    const hasEndedWell = status.exitCode === 0 || (await lingered);
    const verdict = hasEndedWell ? await waitForCredential(provider, deps) : 'The CLI did not end well.';
    if (verdict !== null) status.lastOutput = `${status.lastOutput}\n${verdict}`.trim();
    status.state = verdict === null ? 'succeeded' : 'failed';
  }

  const done = follow()
    .catch((error: unknown) => {
      status.state = 'failed';
      status.lastOutput = `The login could not be followed: ${AppError.from(error).message}`;
    })
    .then(() => deps.log('The login ended.', { provider, state: status.state, exitCode: status.exitCode }));
  return { provider, status, pty: starting, done };
}

/** Files that cannot be read now are judged when the CLI has ended. */
async function currentFingerprint(provider: ProviderId, deps: LoginDeps): Promise<string | null> {
  try {
    return await deps.credentials.fingerprint(provider);
  } catch (error) {
    deps.log(`The credential of ${provider} cannot be read: ${AppError.from(error).message}`);
    return null;
  }
}

/** Ends a CLI that goes on running although its new credential is complete; true when it had to. */
async function endLingering(
  pty: Pty,
  provider: ProviderId,
  before: string | null,
  deps: LoginDeps,
  signal: AbortSignal,
): Promise<boolean> {
  let completeMs = 0;
  while (!signal.aborted) {
    // The only error is the abort, which the loop looks at itself.
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
    const now = await currentFingerprint(provider, deps);
    completeMs = now === null || now === before ? 0 : completeMs + pollMs;
    if (completeMs < deps.lingerMs || signal.aborted) continue;
    await pty.stop();
    return true;
  }
  return false;
}

/** null when the credential is complete, at the latest after a moment; otherwise what it lacks. */
async function waitForCredential(provider: ProviderId, deps: LoginDeps): Promise<string | null> {
  const deadline = performance.now() + afterExitMs;
  for (;;) {
    const { verdict } = await deps.credentials.inspect(provider);
    if (verdict.complete) return null;
    if (performance.now() > deadline)
      return `The CLI ended well, but its credential is not complete: ${verdict.reason}.`;
    await delay(pollMs / 4);
  }
}
