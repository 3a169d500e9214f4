/** Puts the parts of the agent together: configuration, desktop probe, routes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { applyConfig } from './config/apply.js';
import { readDrive } from './config/drive.js';
import { createConfigState } from './config/state.js';
import { createDesktopProbe } from './desktop/probe.js';
import { healthOf } from './health.js';
import { answer, type Gate, type Route } from './http.js';
import { log } from './log.js';
import { createProcesses } from './processes.js';
import type { AgentSettings } from './settings.js';
import { createSystem } from './system.js';

export interface Agent {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends everything that the agent started. */
  end(): Promise<void>;
}

/** The running agent; `firstRead` is what the config drive gave at start. */
export function createAgent(settings: AgentSettings, firstRead: Buffer | Error): Agent {
  const processes = createProcesses();
  const system = createSystem(settings, processes, log);
  const state = createConfigState((config) => applyConfig(config, settings, system, processes), log);
  const desktop = createDesktopProbe(settings, log);
  const health = (): unknown => healthOf(state, desktop.parts());
  const gate: Gate = { token: () => state.config()?.agentToken ?? null, anonymousHealth: health };

  async function take(read: Buffer | Error): Promise<void> {
    await state.take(read);
    if (state.config()?.kind === 'browser') desktop.start();
    else desktop.stop();
  }

  const routes: Route[] = [
    { method: 'GET', path: /^\/health$/, body: false, handle: () => ({ status: 200, json: health() }) },
    {
      method: 'POST',
      path: /^\/config\/reload$/,
      body: false,
      handle: async () => {
        await take(await readDrive(settings.configDevice).catch((error: unknown) => error as Error));
        return { status: 200, json: health() };
      },
    },
    {
      method: 'POST',
      path: /^\/power-off$/,
      body: false,
      handle: () => ({ status: 204, afterwards: () => void powerOff() }),
    },
  ];

  async function powerOff(): Promise<void> {
    await system.powerOff().catch((error: unknown) => log(`power-off failed: ${String(error)}`));
  }

  void take(firstRead);
  return {
    handle: (request, response) => void answer(request, response, routes, gate, log),
    end: () => {
      desktop.stop();
      processes.endAll();
      return Promise.resolve();
    },
  };
}
