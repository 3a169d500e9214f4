/** Criteria 9 and 10: the VM is watched for some minutes, through the API and through the open tunnel. */
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import type { GuestHealth } from '@airlock/contract/guest';
import type { TestVm } from './test-vm.js';
import type { RfbClient } from './rfb.js';
import type { Outcome } from './report.js';

const sampleEveryMs = 5000;
/** A tunnel that shows no picture for so long is as good as closed. */
const silenceMs = 30_000;

export interface Sample {
  state: string;
  health: GuestHealth | null;
  tunnel: string | null;
  problem: string | null;
}

export interface Watched {
  alive: Outcome;
  undisturbed: Outcome;
}

/** Judges samples in order. Pure. */
export function judgeSamples(samples: readonly Sample[], minutes: number): Watched {
  const faults = new Map<string, number>();
  const fault = (words: string): void => void faults.set(words, (faults.get(words) ?? 0) + 1);
  let uptime = 0;
  for (const { state, health, tunnel, problem } of samples) {
    if (state !== 'running') fault(`VM ${state}`);
    if (problem) fault(problem);
    if (tunnel) fault(`tunnel ${tunnel}`);
    if (health && health.uptimeMs < uptime) fault('VM restarted');
    uptime = health?.uptimeMs ?? uptime;
    for (const [part, up] of Object.entries(health?.desktop ?? {})) if (!up) fault(`${part} down`);
  }
  const running = samples.filter(({ state, health }) => state === 'running' && health !== null).length;
  const watched = `${samples.length} samples in ${minutes} min`;
  const short = minutes < 30 ? ' (shortened: the criterion is 30 min)' : '';
  const list = [...faults].map(([words, count]) => `${words} (${count}x)`).join(', ');
  return {
    alive: {
      pass: samples.length > 0 && running === samples.length,
      figure: `alive in ${running} of ${watched}${short}`,
    },
    undisturbed: { pass: samples.length > 0 && faults.size === 0, figure: list || `none in ${watched}` },
  };
}

/** Watches for `minutes`; `closed` is the tunnel's end. */
export async function watchVm(
  vm: TestVm,
  { rfb, closed }: { rfb: RfbClient; closed: Promise<string> },
  minutes: number,
  signal: AbortSignal,
): Promise<Watched> {
  let tunnel: string | null = null;
  closed.then(
    (reason) => (tunnel = reason),
    (error: unknown) => (tunnel = AppError.inItsWords(error).message),
  );
  const samples: Sample[] = [];
  const end = Date.now() + minutes * 60_000;
  do {
    samples.push(await sample(vm, rfb, () => tunnel, signal));
    await delay(Math.max(0, Math.min(sampleEveryMs, end - Date.now())), undefined, { signal });
  } while (Date.now() < end);
  return judgeSamples(samples, minutes);
}

async function sample(vm: TestVm, rfb: RfbClient, tunnel: () => string | null, signal: AbortSignal): Promise<Sample> {
  try {
    const [{ state }, health] = await Promise.all([vm.show(), vm.health()]);
    const silent = (): Promise<'silent'> => delay(silenceMs, 'silent', { signal, ref: false });
    const answer = tunnel() === null ? await Promise.race([rfb.refresh(), silent()]) : null;
    const problem = answer === 'silent' ? `no picture within ${silenceMs / 1000} s` : null;
    return { state, health, tunnel: tunnel(), problem };
  } catch (error) {
    signal.throwIfAborted();
    return { state: 'unknown', health: null, tunnel: tunnel(), problem: AppError.inItsWords(error).message };
  }
}
