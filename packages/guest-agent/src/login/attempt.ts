/**
 * One login of one CLI: what must be there before it, the program in its terminal, and what its screen says. Leaves a
 * status that goes on changing until `done`, and then no process of it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LoginTerminal } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import type { LoginMethod, LoginStatus } from '@airlock/contract/guest';
import { acceptedCallback, callbackOf } from '@airlock/contract/provider/callback';
import type { ProviderLogin } from '@airlock/contract/provider/facts';
import { refusalIn } from '@airlock/contract/provider/refusal';
import type { checkedSettings } from '@airlock/contract/provider/setting';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { mergeDocument } from '../credential/document.js';
import { cliFileBytes, type CredentialStore } from '../credential/store.js';
import { mergeVariables } from '../credential/variables.js';
import { readUserFile, writeUserFile } from '../credential/folder.js';
import type { Variables } from '../environment.js';
import type { Log } from '../log.js';
import type { UserIds } from '../as-user.js';
import type { LoginOf } from '../provider-login.js';
import { openCallback } from './callback.js';
import { startInPty, type Pty } from './pty.js';
import { createScreen, type Screen } from './screen.js';

export interface LoginDeps {
  home: string;
  user: UserIds;
  variables: () => Variables;
  credentials: CredentialStore;
  log: Log;
  /** A CLI that wrote its credential may take so many milliseconds to end by itself before it is ended. */
  lingerMs: number;
  loginOf: LoginOf;
}

export interface LoginPlan {
  provider: ProviderId;
  login: ProviderLogin;
  method: LoginMethod;
  argv: ProviderLogin['argv'];
  env: Variables;
  settings: ReturnType<typeof checkedSettings>;
}

export interface Attempt {
  readonly status: LoginStatus;
  terminal(): LoginTerminal;
  isRunning(): boolean;
  /** Types a code and Enter. */
  type(code: string): void;
  /**
   * Opens the address to which the sign-in page has led a person elsewhere; `takesCode` is false until the CLI has refused it.
   * @throws AppError invalid_request for another address, login_failed when the CLI does not take it
   */
  call(pasted: string): Promise<void>;
  /** Ends the program with everything in its terminal; resolves when all is gone and judged. */
  end(how: 'stop' | 'kill'): Promise<void>;
}

interface Called extends Pick<Attempt, 'call'> {
  isCalled: boolean;
}

export const idle: LoginStatus = {
  provider: null,
  state: 'idle',
  method: 'browser',
  pageHost: null,
  deviceCode: null,
  takesCode: false,
  exitCode: null,
  lastOutput: '',
};

/** How often the credential is looked at while the CLI runs. */
const pollMs = 1000;
/** A CLI that ended well may have its last file still on the way to the disk. */
const afterExitMs = 2000;
/** Enter follows the echo of what was typed, or comes after this time (ms) where a CLI shows none. */
const echoMs = 300;

export function startAttempt(plan: LoginPlan, deps: LoginDeps): Attempt {
  const { provider, method } = plan;
  const screen = createScreen(plan.login, method);
  const status: LoginStatus = { ...idle, provider, method, state: 'starting' };
  const ending = new AbortController();
  let pty: Pty | undefined;
  const typist = createTypist((keys) => pty?.write(keys));
  const caller = createCaller(status, screen, () => look(!isRunning()));

  const isRunning = (): boolean => status.state === 'starting' || status.state === 'browser_opened';

  function look(isFinal: boolean): void {
    Object.assign(status, screen.read(isFinal), caller.isCalled && { takesCode: false });
    const isOpen = method === 'browser' ? status.pageHost !== null : status.deviceCode !== null;
    if (!isOpen || status.state !== 'starting') return;
    status.state = 'browser_opened';
    deps.log('The CLI shows where to sign in.', { provider, method, host: status.pageHost });
  }

  function onOutput(chunk: string): void {
    const keys = screen.feed(chunk);
    if (keys !== '') pty?.write(keys);
    typist.onOutput();
    look(false);
  }

  async function start(): Promise<Pty> {
    await prepare(plan, deps);
    ending.signal.throwIfAborted();
    const { home: cwd, user } = deps;
    pty = await startInPty({ argv: plan.argv, env: plan.env, cwd, user, size: screen.size, onOutput });
    return pty;
  }

  const starting = start();
  const done = follow(
    { provider, status, deps, keepsLogin: plan.settings.length > 0, onEnd: () => look(true) },
    starting,
  )
    .catch((error: unknown) => {
      const lastOutput = `The login could not be followed: ${AppError.from(error).message}`;
      Object.assign(status, { state: 'failed', takesCode: false, lastOutput });
    })
    .then(() => deps.log('The login ended.', { provider, state: status.state, exitCode: status.exitCode }));

  return {
    status,
    terminal: screen.terminal,
    isRunning,
    type: (code) => {
      screen.hide(code);
      typist.type(code);
    },
    call: caller.call,
    end: async (how) => {
      if (!isRunning()) return;
      ending.abort(new AppError('aborted', 'The login was ended before its program had started.'));
      await starting.then(
        (running) => running[how](),
        () => deps.log('The login had not started when it was ended.', { provider }),
      );
      await done;
    },
  };
}

/** Opens what is pasted; `isCalled` from then on, until the CLI has refused it. */
function createCaller(status: LoginStatus, screen: Screen, onChange: () => void): Called {
  const called: Called = {
    isCalled: false,
    call: async (pasted) => {
      const expected = callbackOf(status.deviceCode?.url ?? '');
      if (expected === null) throw new AppError('login_failed', 'The CLI shows no page that leads back to it.');
      const address = acceptedCallback(expected, pasted);
      address.searchParams.getAll('code').forEach(screen.hide);
      called.isCalled = true;
      onChange();
      await openCallback(address).catch((error: unknown) => {
        called.isCalled = false;
        onChange();
        throw error;
      });
    },
  };
  return called;
}

/** Types a text and Enter, as two strokes: together a CLI may take them for a paste of two lines. */
function createTypist(write: (keys: string) => void): { type(text: string): void; onOutput(): void } {
  let enter: (() => void) | undefined;
  return {
    type: (text) => {
      const timer = setTimeout(() => enter?.(), echoMs);
      enter = () => {
        clearTimeout(timer);
        enter = undefined;
        write('\r');
      };
      write(text);
    },
    onOutput: () => enter?.(),
  };
}

interface Followed {
  provider: ProviderId;
  status: LoginStatus;
  deps: LoginDeps;
  /** The credential is complete from the start, and says nothing about the CLI having done its work. */
  keepsLogin: boolean;
  /** Called once there will be no more output. */
  onEnd: () => void;
}

/** Waits for the program's end and judges it. */
async function follow(followed: Followed, starting: Promise<Pty>): Promise<void> {
  const { status } = followed;
  const running = await starting;
  const linger = new AbortController();
  const lingered = followed.keepsLogin ? Promise.resolve(false) : endLingering(followed, running, linger.signal);
  status.exitCode = await running.ended;
  linger.abort();
  followed.onEnd();
  const hasEndedWell = status.exitCode === 0 || (await lingered);
  const verdict = hasEndedWell ? await verdictOn(followed) : 'The CLI did not end well.';
  if (verdict !== null) status.lastOutput = `${status.lastOutput}\n${verdict}`.trim();
  status.state = verdict === null ? 'succeeded' : 'failed';
}

/**
 * Every attempt begins from the same state: without what an earlier one left of a login, which a CLI would take for its own, and with
 * what its CLI needs, also where that went with the former login. Everything else that is in those files stays. Where only a setting was
 * missing, the login stays, too: the CLI goes on with it.
 */
async function prepare({ provider, login, settings }: LoginPlan, deps: LoginDeps): Promise<void> {
  const { home, user, credentials } = deps;
  if (settings.length === 0) await credentials.remove(provider);
  await writeSettings(settings, deps);
  for (const { path, mode, text, ...reader } of login.before ?? []) {
    const existing = await readUserFile(home, path, cliFileBytes);
    const content = mergeDocument(existing?.content ?? null, Buffer.from(text), [], reader) ?? Buffer.from(text);
    await writeUserFile(home, path, { content, mode }, user);
  }
}

/** Each in the place of the line that says the same; every other line of the file stays. */
async function writeSettings(settings: LoginPlan['settings'], { home, user }: LoginDeps): Promise<void> {
  for (const { setting, value } of settings) {
    const { file, variable } = setting;
    const found = await readUserFile(home, file, cliFileBytes);
    const line = Buffer.from(`${variable}=${value}\n`);
    const content = mergeVariables(found?.content ?? null, line, [variable]) ?? line;
    await writeUserFile(home, file, { content, mode: found?.mode ?? 0o600 }, user);
  }
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

/** Ends a CLI that goes on running although its credential is complete; true when it had to. */
async function endLingering({ provider, deps }: Followed, running: Pty, signal: AbortSignal): Promise<boolean> {
  let completeMs = 0;
  while (!signal.aborted) {
    // The only error is the abort, which the loop looks at itself.
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
    const now = await currentFingerprint(provider, deps);
    completeMs = now === null ? 0 : completeMs + pollMs;
    if (completeMs < deps.lingerMs || signal.aborted) continue;
    await running.stop();
    return true;
  }
  return false;
}

/** null when the login is one. A CLI may have been refused, end well all the same, and leave a credential that is good for nothing. */
async function verdictOn({ provider, status, deps }: Followed): Promise<string | null> {
  if (refusalIn(deps.loginOf(provider), status.lastOutput)) return 'The CLI was refused.';
  return waitForCredential(provider, deps);
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
