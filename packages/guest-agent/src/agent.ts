/** Puts the parts of the agent together: configuration, desktop probe, login, credentials, checks, routes. */
import { setTimeout as delay } from 'node:timers/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createBackground } from '@airlock/contract/background';
import { AppError } from '@airlock/contract/errors';
import type { GuestHealth } from '@airlock/contract/guest';
import { runCheck } from './check/check.js';
import { applyConfig } from './config/apply.js';
import { readDrive } from './config/drive.js';
import { createConfigState } from './config/state.js';
import { createCustody } from './credential/custody.js';
import { createCredentialStore } from './credential/store.js';
import { createDesktop } from './desktop/desktop.js';
import { userVariables, type Variables } from './environment.js';
import { healthOf } from './health.js';
import { answer, type Api, type Gate } from './http.js';
import { log } from './log.js';
import { createLogin } from './login/login.js';
import { createProcesses } from './processes.js';
import { loginOf } from './provider-login.js';
import { createPrompts } from './prompt/prompts.js';
import { createRoutes } from './routes.js';
import type { AgentSettings } from './settings.js';
import { createSystem } from './system.js';

export interface Agent {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends everything that the agent started. */
  end(): Promise<void>;
}

/** Milliseconds between two looks for a config drive that is not there yet. */
const driveRetryMs = 100;

/** The running agent; `firstRead` is what the config drive gave at start. */
export function createAgent(settings: AgentSettings, firstRead: Buffer | Error): Agent {
  const { home } = settings;
  const ending = new AbortController();
  const background = createBackground({ error: ({ err }, what) => log(`${what}: ${String(err)}`) });
  const processes = createProcesses();
  const system = createSystem(settings, processes, log);
  const { user } = system;
  const state = createConfigState((config) => applyConfig(config, settings, system, processes), log);
  const desktop = createDesktop(settings, log);
  const credentials = createCredentialStore(home, user, loginOf);
  const variables = (): Variables => {
    const config = state.config();
    if (config) return userVariables(config, settings);
    throw new AppError('config_drive_invalid', 'This VM has no configuration yet.');
  };
  const login = createLogin({ home, user, variables, credentials, log, lingerMs: 10_000, loginOf });
  const kind = (): 'browser' | 'cli' => state.config()?.kind ?? 'browser';
  const prompts = createPrompts({ home, user, kind, variables, credentials, log });
  const health = (): GuestHealth => healthOf(state, desktop.parts());
  const gate: Gate = { token: () => state.config()?.agentToken ?? null, anonymousHealth: health };

  async function take(read: Buffer | Error): Promise<void> {
    await state.take(read);
    desktop[state.config()?.kind === 'browser' ? 'start' : 'stop']();
  }

  /** The agent starts before the system has named its disks, so it looks again until the drive is there. */
  async function takeFirst(): Promise<void> {
    // Without a configuration nothing is started.
    await system.endPrograms();
    let content = firstRead;
    while (content instanceof Error && state.config() === null && !ending.signal.aborted) {
      if (performance.now() > settings.configWaitMs && state.error() === null) await take(content);
      await delay(driveRetryMs);
      content = await readOrError(settings);
    }
    if (state.config() === null) await take(content);
  }

  const routes = createRoutes({
    health,
    reload: async () => take(await readOrError(settings)),
    login,
    desktop,
    credentials,
    custody: createCustody(credentials, home, user, log),
    check: (name) => runCheck(name, { home, user, variables, processes, credentials }),
    ...{ prompts, moveClock: (byMs: number) => system.moveClock(byMs) },
    powerOff: () => background.own(system.powerOff(), 'The VM could not be powered off'),
  });

  const first = takeFirst();
  background.own(first, 'The configuration could not be looked for');
  // An agent that has only just started again is about to know who may call: nobody is refused for that.
  const begun = firstRead instanceof Error ? Promise.resolve() : first.catch(() => undefined);
  return {
    handle: (request, response) =>
      background.own(answerAfter(begun, request, response, { routes, gate, log }), 'A request could not be answered'),
    end: async () => {
      ending.abort();
      desktop.stop();
      processes.endAll();
      await Promise.all([login.kill(), prompts.endAll()]);
      await system.endPrograms();
    },
  };
}

/** A look at the health waits for nothing. */
async function answerAfter(
  begun: Promise<void>,
  request: IncomingMessage,
  response: ServerResponse,
  api: Api,
): Promise<void> {
  if (request.url !== '/health') await begun;
  await answer(request, response, api);
}

const readOrError = ({ configDevice }: AgentSettings): Promise<Buffer | Error> =>
  readDrive(configDevice).catch((error: Error) => error);
