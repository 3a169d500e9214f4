/** Puts the parts of the agent together: configuration, desktop probe, login, credentials, checks, routes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '@airlock/contract/errors';
import type { GuestHealth } from '@airlock/contract/guest';
import { runCheck } from './check/check.js';
import { applyConfig } from './config/apply.js';
import { readDrive } from './config/drive.js';
import { createConfigState } from './config/state.js';
import { createCredentialStore } from './credential/store.js';
import { createDesktopProbe } from './desktop/probe.js';
import { userVariables, type Variables } from './environment.js';
import { healthOf } from './health.js';
import { answer, type Gate } from './http.js';
import { log } from './log.js';
import { createLogin } from './login/login.js';
import { createProcesses } from './processes.js';
import { createRoutes } from './routes.js';
import type { AgentSettings } from './settings.js';
import { createSystem } from './system.js';

export interface Agent {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends everything that the agent started. */
  end(): Promise<void>;
}

/** The running agent; `firstRead` is what the config drive gave at start. */
export function createAgent(settings: AgentSettings, firstRead: Buffer | Error): Agent {
  const { home } = settings;
  const processes = createProcesses();
  const system = createSystem(settings, processes, log);
  const { user } = system;
  const state = createConfigState((config) => applyConfig(config, settings, system, processes), log);
  const desktop = createDesktopProbe(settings, log);
  const credentials = createCredentialStore(home, user);
  const variables = (): Variables => {
    const config = state.config();
    if (config) return userVariables(config, settings);
    throw new AppError('config_drive_invalid', 'This VM has no configuration yet.');
  };
  const login = createLogin({ home, user, variables, credentials, log });
  const health = (): GuestHealth => healthOf(state, desktop.parts());
  const gate: Gate = { token: () => state.config()?.agentToken ?? null, anonymousHealth: health };

  async function take(read: Buffer | Error): Promise<void> {
    await state.take(read);
    if (state.config()?.kind === 'browser') desktop.start();
    else desktop.stop();
  }

  const routes = createRoutes({
    health,
    reload: async () => take(await readDrive(settings.configDevice).catch((error: unknown) => error as Error)),
    login,
    credentials,
    check: (name) => runCheck(name, { home, user, variables, processes }),
    powerOff: () => {
      system.powerOff().catch((error: unknown) => log(`The VM could not be powered off: ${String(error)}`));
    },
  });

  void take(firstRead);
  return {
    handle: (request, response) => void answer(request, response, routes, gate, log),
    end: async () => {
      desktop.stop();
      processes.endAll();
      await login.kill();
    },
  };
}
