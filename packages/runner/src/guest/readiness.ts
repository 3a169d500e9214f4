/** Waiting until a VM is ready, by probing it: its agent for what it reports, x11vnc for its banner. No fixed times. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:net';
import { AppError } from '@airlock/contract/errors';
import { readBanner } from '@airlock/contract/rfb';
import type { GuestHealth } from '@airlock/contract/guest';
import type { Address } from '../lib/device.js';
import type { GuestAgent } from './agent.js';
import { openingOf } from './rfb.js';

export interface ReadinessEvents {
  /** The VNC server showed its banner. */
  vnc(): void;
  /** The agent answered for the first time. */
  agent(): void;
  /** The agent has applied the configuration. */
  configured(): void;
  /** A part of the desktop is up for the first time. */
  part(name: string): void;
  /** Why the VM is not ready yet, each time it was looked at. */
  notYet(reason: string): void;
}

const pauseMs = 250;
/**
 * A VMM's own network accepts a connection before the guest can: while the guest's network is down nothing comes back, and the
 * attempt is worth little; once it is up, a closed port is refused at once, so whatever is slow then is only busy.
 */
const attemptMs = { networkDown: 600, networkUp: 5000 } as const;

/**
 * Resolves when the agent reports ready and (with a `desktop`) the VNC server has answered.
 * @throws the GuestHealth.error of the agent, or the reason of `signal`.
 */
export async function waitUntilReady(
  agent: GuestAgent,
  desktop: (() => Address) | null,
  events: ReadinessEvents,
  signal: AbortSignal,
): Promise<void> {
  const network = { up: false };
  await Promise.all([
    waitForAgent(agent, events, network, signal),
    desktop === null ? undefined : waitForVnc(desktop, events, network, signal),
  ]);
}

async function waitForAgent(
  agent: GuestAgent,
  events: ReadinessEvents,
  network: { up: boolean },
  signal: AbortSignal,
): Promise<void> {
  let last: GuestHealth | undefined;
  const seen = new Set<string>();
  for (;;) {
    const health = await attempt(network, events, signal, (limit) => agent.health(limit));
    if (health) {
      if (!last) events.agent();
      if (health.generation > 0 && (last?.generation ?? 0) === 0) events.configured();
      last = health;
      for (const name of newParts(health, seen)) events.part(name);
      if (health.error) throw AppError.fromBody(health.error);
      if (health.ready) return;
      events.notYet(`the agent reports ${JSON.stringify(health)}`);
    }
    await delay(pauseMs, undefined, { signal });
  }
}

/** What of the desktop is up and was not `seen`; now it is. What comes and goes again and again is new once. */
function newParts({ desktop }: GuestHealth, seen: Set<string>): string[] {
  const up = Object.entries(desktop ?? {}).flatMap(([name, isUp]) => (isUp && !seen.has(name) ? [name] : []));
  for (const name of up) seen.add(name);
  return up;
}

async function waitForVnc(
  desktop: () => Address,
  events: ReadinessEvents,
  network: { up: boolean },
  signal: AbortSignal,
): Promise<void> {
  while (!(await attempt(network, events, signal, (limit) => fetchBanner(desktop(), limit)))) {
    await delay(pauseMs, undefined, { signal });
  }
  events.vnc();
}

/** One attempt; null when it did not succeed this time. @throws the reason of `signal` */
async function attempt<T>(
  network: { up: boolean },
  events: ReadinessEvents,
  signal: AbortSignal,
  ask: (limit: AbortSignal) => Promise<T>,
): Promise<T | null> {
  const timeout = AbortSignal.timeout(network.up ? attemptMs.networkUp : attemptMs.networkDown);
  try {
    const answer = await ask(AbortSignal.any([signal, timeout]));
    network.up = true;
    return answer;
  } catch (error) {
    signal.throwIfAborted();
    // Anything but silence comes from the guest itself. "Not yet" is the expected answer here.
    if (!timeout.aborted) network.up = true;
    if (!(error instanceof AppError) && !timeout.aborted) throw error;
    events.notYet(AppError.from(error).message);
    return null;
  }
}

async function fetchBanner(to: Address, signal: AbortSignal): Promise<string> {
  const socket = connect({ ...to, signal });
  try {
    return await readBanner(openingOf(socket, signal));
  } catch (cause) {
    throw cause instanceof AppError ? cause : new AppError('guest_unreachable', 'No VNC server yet.', { cause });
  } finally {
    socket.on('error', () => socket.destroy());
    socket.destroy();
  }
}
