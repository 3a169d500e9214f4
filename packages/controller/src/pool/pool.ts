/**
 * The warm pool: browser VMs that are ready before anybody comes. It says how many there are, which are given up and who gets one; what
 * such a VM is, `vm/waiting.ts` knows.
 */
import { AppError } from '@airlock/contract/errors';
import type { Settings } from '@airlock/contract/settings';
import type { Log } from '../lib/log.js';
import { startLoop, type Loop } from '../lib/loop.js';
import type { Claim, Vms, VmRow, WaitingVm } from '../vm/vm.js';

export interface PoolDeps {
  vms: Pick<Vms, 'createWaiting' | 'waiting' | 'assign' | 'dropWaiting'>;
  /** Somebody waits for a desktop, or for the page in it: they come first. */
  isBusy(): Promise<boolean>;
  settings: Pick<Settings, 'AIRLOCK_POOL'>;
  log: Log;
  /** Between two looks, in ms; 1 s by default. */
  lookMs?: number;
}

export interface Pool {
  /** A VM that waited, and is the sign-in's now; undefined when there is none that can be had. */
  take(claim: Claim): Promise<VmRow | undefined>;
  /** From now on there are as many as the settings say, as soon as that is possible. */
  begin(): void;
  /** VMs that wait stay, for the next controller. */
  close(): Promise<void>;
}

/** Milliseconds after which one is given up: its browser was never brought up to date, and its image may have known flaws. */
const oldestMs = 12 * 3_600_000;
/** What a host has not now, and may have later. */
const later = ['capacity_exhausted', 'disk_full', 'image_missing', 'image_too_old', 'image_too_new', 'shutting_down'];

export function createPool(deps: PoolDeps): Pool {
  const { log, lookMs = 1000 } = deps;
  const state: State = { told: '' };
  let loop: Loop | undefined;
  return {
    take: (claim) => take(deps, claim),
    begin: () => (loop ??= startLoop({ name: 'warm pool', everyMs: lookMs, turn: () => tend(deps, state), log })),
    close: async () => loop?.stop(),
  };
}

interface State {
  /** Why there was no room for another one, as the log knows it. */
  told: string;
}

async function take({ vms, log }: PoolDeps, claim: Claim): Promise<VmRow | undefined> {
  for (const { row, fits } of await vms.waiting()) {
    if (!fits || row.state !== 'waiting') continue;
    try {
      const taken = await vms.assign(row.id, claim);
      if (taken) return taken;
    } catch (error) {
      // Without room for what else this sign-in needs, another VM does not help.
      const { code, message } = AppError.from(error);
      if (later.includes(code) || code === 'quota_exceeded' || code === 'aborted') throw error;
      log.warn({ vmId: row.id, code, reason: message }, 'a VM that waited could not be given; the next one is tried');
    }
  }
  return undefined;
}

/** One look: gives up what nobody would get, and makes one more where there are too few and nobody waits for a desktop. */
async function tend(deps: PoolDeps, state: State): Promise<void> {
  const { vms, settings, isBusy } = deps;
  const all = await vms.waiting();
  const kept = all.filter(isGood).slice(0, settings.AIRLOCK_POOL);
  await Promise.all(all.filter((one) => !kept.includes(one)).map(({ row }) => vms.dropWaiting(row.id)));
  const isComing = kept.some(({ row }) => row.state !== 'waiting');
  if (kept.length >= settings.AIRLOCK_POOL || isComing || (await isBusy())) return;
  await makeOne(deps, state);
}

const isGood = ({ row, fits }: WaitingVm): boolean => fits && Date.now() - row.createdAt.getTime() < oldestMs;

async function makeOne({ vms, log }: PoolDeps, state: State): Promise<void> {
  try {
    await vms.createWaiting();
    state.told = '';
  } catch (error) {
    const { code, message } = AppError.from(error);
    if (!later.includes(code)) throw error;
    if (state.told !== message) log.info({ code, reason: message }, 'no VM can be made in advance now');
    state.told = message;
  }
}
