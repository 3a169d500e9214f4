/**
 * The vm folder's front door, put together. A row is written before anything is made; whatever a crash leaves is put
 * right by `reconcile`. Deadlines are rows, looked at each second.
 */
import { setMaxListeners } from 'node:events';
import { AppError } from '@airlock/contract/errors';
import { startLoop } from '../lib/loop.js';
import { protocolOf } from './age.js';
import { backup } from './backup/backup.js';
import { restore } from './backup/restore.js';
import { restartByHand, startByHand, stopByHand } from './by-hand.js';
import { ensureCli, useCli } from './cli.js';
import { stop, stopIdle } from './cli-stop.js';
import { createContext, type VmContext, type VmDeps } from './context.js';
import { destroy, destroyDue, destroyNobodys, removeOld } from './end.js';
import { desktopGuest, guest, health, openDesktop, runCheckInUse } from './guest.js';
import { insert, launch, requireHomeDisk } from './power.js';
import { reconcile } from './reconcile.js';
import { checkRoom } from './room.js';
import * as rows from './rows.js';
import { behind, update, updateAll } from './root/by-hand.js';
import { updating } from './root/rows.js';
import { startUpdater } from './root/updater.js';
import { isFinal } from './transitions.js';
import type { CliGuard, Vms, VmRow } from './vm.js';
import { waitReady } from './wait.js';
import { assign, createWaiting, waiting } from './waiting.js';
import { forgetAll } from './watch.js';

/** What there is to do with VMs that nobody has. */
const nobodys = (ctx: VmContext): Pick<Vms, 'createWaiting' | 'waiting' | 'assign' | 'dropWaiting'> => ({
  createWaiting: () => createWaiting(ctx),
  waiting: () => waiting(ctx),
  assign: (vmId, claim) => assign(ctx, vmId, claim),
  dropWaiting: (vmId) => destroyNobodys(ctx, vmId),
});

const tidyIntervalMs = 3_600_000;

/** The VMs of this controller; `guard` stands at the start and the end of each CLI VM. Call `reconcile` once before anything else. */
export function createVms(deps: VmDeps, guard: CliGuard): Vms {
  const lifetime = new AbortController();
  // One wait for each VM.
  setMaxListeners(0, lifetime.signal);
  const ctx = createContext(deps, guard, lifetime.signal);
  const { sweepMs = 1000 } = deps;
  ctx.changes.on('any', ({ id, kind, state }, event) => ctx.log.debug({ vmId: id, kind, event, state }, 'VM state'));
  const sweep = startLoop({
    ...{ name: 'sweep of VMs', everyMs: sweepMs, log: ctx.log },
    turn: async () => void (await Promise.all([destroyDue(ctx), stopIdle(ctx)])),
  });
  const updater = startUpdater(ctx, sweepMs);
  const tidying = startLoop({
    ...{ name: 'removal of old VM records', everyMs: tidyIntervalMs, log: ctx.log },
    turn: () => removeOld(ctx, new Date()),
  });
  return {
    requireCapacity: (userId, needs) => requireCapacity(ctx, userId, needs),
    async createBrowser(request, noted) {
      const row = await insert(ctx, 'browser', request, noted);
      launch(ctx, row);
      return row;
    },
    ...nobodys(ctx),
    ensureCli: (userId, sessionId, onProgress, signal) => ensureCli(ctx, { userId, sessionId, onProgress }, signal),
    cliOf: (userId) => rows.liveCli(ctx, userId),
    useCli: (userId, onProgress, signal) => useCli(ctx, { userId, sessionId: null, onProgress }, signal),
    usesOf: (userId) => ctx.uses.get(userId) ?? 0,
    stop: (vmId) => stopByHand(ctx, vmId),
    start: (vmId) => startByHand(ctx, vmId),
    restart: (vmId) => restartByHand(ctx, vmId),
    update: (vmId, request) => update(ctx, vmId, request),
    updateAll: (noted) => updateAll(ctx, noted),
    backup: (vmId, request) => backup(ctx, vmId, request),
    restore: (file, request) => restore(ctx, file, request),
    behind: (all) => behind(ctx, all),
    waitReady: (vmId, onStatus, signal) => waitReady(ctx, vmId, signal, onStatus),
    get: (vmId) => rows.get(ctx, vmId),
    list: (userId) => rows.list(ctx, userId),
    guest: (vmId) => guest(ctx, vmId),
    protocolOf: (vm) => protocolOf(ctx, vm),
    desktopGuest: (vmId) => desktopGuest(ctx, vmId),
    health: (vmId) => health(ctx, vmId),
    runCheck: (vmId, name) => runCheckInUse(ctx, vmId, name),
    openDesktop: (vmId) => openDesktop(ctx, vmId),
    scheduleDestroy: (vmId, at) => rows.scheduleDestroy(ctx, vmId, at),
    destroy: (vmId) => destroy(ctx, vmId),
    stopAll: () => stopAll(ctx),
    stopAllOf: async (userId) => stopEach(ctx, ofUser(await rows.active(ctx), userId)),
    removeAllOf: (userId) => removeAllOf(ctx, userId),
    reconcile: () => reconcile(ctx),
    lostFolders: async () => ctx.engine.lost(new Set([...(await rows.ownerIds(ctx)), ...ctx.arriving.keys()])),
    async close() {
      lifetime.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await Promise.all([sweep.stop(), tidying.stop(), updater.stop()]);
      await Promise.all([ctx.background.settled(), forgetAll(ctx)]);
      await ctx.engine.close();
    },
  };
}

async function requireCapacity(ctx: VmContext, userId: string, { browser }: { browser: boolean }): Promise<void> {
  requireHomeDisk((await ctx.images.current()).manifest);
  const isThere = browser && (await waiting(ctx)).some(({ row, fits }) => fits && row.state === 'waiting');
  await checkRoom(ctx, { userId, browser: browser && !isThere, assigned: isThere, cli: true });
}

/** Also those that wait for a root. */
async function stopAll(ctx: VmContext): Promise<void> {
  ctx.halted = true;
  const all = await rows.active(ctx);
  const coming = (await updating(ctx)).filter(({ state }) => state === 'stopped');
  await stopEach(ctx, [...all, ...coming]);
}

/** A CLI VM that is only being made holds nothing yet: half a disk is not kept. */
async function stopEach(ctx: VmContext, all: readonly VmRow[]): Promise<void> {
  const isKept = ({ kind, state }: VmRow): boolean => kind === 'cli' && state !== 'creating' && state !== 'destroying';
  const ends = all.map((row) => (isKept(row) ? stop(ctx, row.id) : destroy(ctx, row.id)));
  // One that does not end is told of when the others have.
  await Promise.allSettled(ends);
  await Promise.all(ends);
}

const ofUser = (all: readonly VmRow[], userId: string): VmRow[] => all.filter((row) => row.userId === userId);

async function removeAllOf(ctx: VmContext, userId: string): Promise<void> {
  const all = (await rows.list(ctx, userId)).filter(({ state }) => !isFinal(state));
  await Promise.all(all.map(({ id }) => destroy(ctx, id)));
  await rows.removeEndedOf(ctx, userId);
}
