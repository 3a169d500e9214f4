/**
 * The logins of CLIs in this VM, one at a time; the last one's result stays until the next begins.
 */
import type { LoginTerminal } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import type { LoginMethod, LoginStatus } from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import { checkedSettings, type LoginSettings } from '@airlock/contract/provider/setting';
import { commandFor } from '@airlock/contract/provider/way';
import { idle, startAttempt, type Attempt, type LoginDeps, type LoginPlan } from './attempt.js';
import { acceptedCode } from './patterns.js';
import { defaultSize } from './screen.js';

export interface Login {
  /** @throws AppError login_running, provider_unavailable when this provider has no such way to sign in, or invalid_request. */
  start(provider: ProviderId, method?: LoginMethod, settings?: LoginSettings): LoginStatus;
  status(): LoginStatus;
  /** What stands on the CLI's terminal, also after its end. */
  terminal(): LoginTerminal;
  /**
   * Types a code that the provider's page showed, and Enter; by method callback, opens the address to which the page led.
   * @throws AppError login_running when the CLI asks for none, invalid_request for something that is no such code or address, or
   * login_failed when the CLI does not take the address.
   */
  input(given: string): Promise<LoginStatus>;
  /** Ends the CLI with all that it started, if it runs; resolves when it is gone. */
  stop(): Promise<void>;
  /** The same without grace. */
  kill(): Promise<void>;
}

export function createLogin(deps: LoginDeps): Login {
  let current: Attempt | undefined;

  function start(provider: ProviderId, method: LoginMethod = 'browser', given: LoginSettings = {}): LoginStatus {
    if (current?.isRunning() === true) {
      throw new AppError('login_running', `A login for ${current.status.provider} is running in this VM.`, {
        hint: 'Wait for its end, or end it with DELETE /login.',
      });
    }
    const settings = checkedSettings({ name: providers[provider].name, login: deps.loginOf(provider) }, given);
    current = startAttempt({ ...planFor(provider, method, deps), settings }, deps);
    return current.status;
  }

  async function input(given: string): Promise<LoginStatus> {
    const pasteCode = current?.status.provider ? deps.loginOf(current.status.provider).pasteCode : null;
    const isCallback = current?.status.method === 'callback';
    if (current?.isRunning() !== true || !current.status.takesCode || (!pasteCode && !isCallback)) {
      throw new AppError('login_running', 'No CLI in this VM is asking for a code now.', {
        hint: 'A code is taken while GET /login says takesCode.',
      });
    }
    if (isCallback) {
      await current.call(given);
      return current.status;
    }
    const code = pasteCode && acceptedCode(given, pasteCode.code);
    if (code === null) {
      throw new AppError('invalid_request', 'What was pasted does not look like a code of this provider.', {
        hint: 'Copy the whole code from the provider’s page.',
      });
    }
    current.type(code);
    return current.status;
  }

  const end = async (how: 'stop' | 'kill'): Promise<void> => current?.end(how);

  return {
    start,
    status: () => current?.status ?? idle,
    terminal: () => current?.terminal() ?? { columns: defaultSize.columns, lines: [] },
    input,
    stop: () => end('stop'),
    kill: () => end('kill'),
  };
}

/** What is run for this way to sign in. */
function planFor(provider: ProviderId, method: LoginMethod, deps: LoginDeps): Omit<LoginPlan, 'settings'> {
  const login = deps.loginOf(provider);
  const command = commandFor(login, method);
  if (command === null) {
    throw new AppError('provider_unavailable', `${providers[provider].name} cannot sign in by ${method}.`);
  }
  return { provider, login, method, argv: command.argv, env: { ...deps.variables(), ...command.env } };
}
