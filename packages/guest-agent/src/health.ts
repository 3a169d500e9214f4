/** The answer to GET /health, from what is known at that moment. */
import { uptime } from 'node:os';
import type { GuestHealth } from '@airlock/contract/guest';
import type { ConfigState } from './config/state.js';
import { agentVersion } from './version.js';

export function healthOf(state: ConfigState, desktop: NonNullable<GuestHealth['desktop']>): GuestHealth {
  const config = state.config();
  const isConfigured = state.generation() > 0 && state.error() === null;
  const hasDesktop = config?.kind === 'browser';
  return {
    agentVersion,
    generation: state.generation(),
    vmId: config?.vmId ?? null,
    uptimeMs: Math.round(uptime() * 1000),
    desktop: hasDesktop ? desktop : null,
    ready: isConfigured && (!hasDesktop || Object.values(desktop).every(Boolean)),
    error: state.error(),
  };
}
