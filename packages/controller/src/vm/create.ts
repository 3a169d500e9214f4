/**
 * The vm folder's front door, put together. A row is written before anything is made; whatever a crash leaves is put
 * right by `reconcile`. Deadlines are rows, looked at each second.
 */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { CheckResult, GuestHealth } from '@airlock/contract/guest';
import { withPrefix } from '@airlock/contract/http-client';
import type { Settings } from '@airlock/contract/settings';
import type { Engine } from '../engine/engine.js';
import type { Images } from '../image/image.js';
import type { Store } from '../store/store.js';
import { createCliVms } from './cli.js';
import { requireRoom } from './disk.js';
import { createEnd } from './end.js';
import type { Host } from './host.js';
import type { CliGuard, Vms, VmRow } from './vm.js';
import { createPower, requireMemory } from './power.js';
import { createVmRows } from './rows.js';
import { createWatcher } from './watch.js';

export interface VmDeps {
  store: Pick<Store, 'db'>;
  engine: Engine;
  images: Images;
  /** Seals the key of a CLI VM's home. */
  secrets: {
    /** Seals and stores within `work`, so that the key it uses is not retired in between. */
    sealing<T>(work: (seal: (purpose: string, secret: string) => Promise<string>) => Promise<T>): Promise<T>;
    open(purpose: string, sealed: string): Promise<string>;
  };
  host: Host;
  settings: Settings;
  log: Logger;
}

/** Checks run CLIs, which under emulation take more than a minute to start. */
const checkTimeoutMs = 300_000;
const sweepIntervalMs = 1000;

const unguarded: CliGuard = {
  starting: async () => undefined,
  ready: async () => undefined,
  ending: async () => undefined,
};

/** The VMs of this controller. Call `reconcile` once before anything else. */
export function createVms(deps: VmDeps): Vms {
  const { engine, images, settings, log } = deps;
  const lifetime = new AbortController();
  const rows = createVmRows(deps.store.db);
  const watcher = createWatcher({ db: deps.store.db, engine, log, signal: lifetime.signal });
  const power = createPower(deps, rows, watcher);
  let guard: CliGuard = unguarded;
  const cli = createCliVms(deps, rows, power, watcher, () => guard, lifetime.signal);
  const end = createEnd(deps, rows, power, watcher, () => guard);
  const stopSweeping = repeat(async () => {
    await end.sweep();
    await cli.sweep();
  }, log);

  async function requireRunning(vmId: string): Promise<VmRow> {
    const row = await rows.get(vmId);
    if (!row) throw new AppError('not_found', `There is no VM ${vmId}.`);
    if (row.state !== 'running' && row.state !== 'starting')
      throw new AppError('vm_not_running', `VM ${vmId} is ${row.state}.`);
    return row;
  }

  return {
    guard: (given) => void (guard = given),
    get: rows.get,
    list: rows.list,
    scheduleDestroy: rows.scheduleDestroy,
    ensureCli: cli.ensure,
    cliOf: rows.liveCli,
    useCli: cli.use,
    destroy: end.destroy,
    waitReady: (vmId, onStatus, signal) => watcher.waitReady(vmId, signal, onStatus),

    async requireCapacity(userId) {
      const image = await images.current();
      await requireMemory(settings.AIRLOCK_VM_MEMORY_MIB);
      if (!(await rows.liveCli(userId))) await requireRoom(image.rootfs, await engine.prepare());
    },

    async createBrowser(request) {
      const row = await power.insert('browser', request);
      power.launch(row);
      return row;
    },

    async guest(vmId) {
      await requireRunning(vmId);
      return withPrefix(engine.client(vmId), '/guest');
    },

    async health(vmId) {
      await requireRunning(vmId);
      return engine.client(vmId).call('GET', '/guest/health', GuestHealth);
    },

    async runCheck(vmId, name) {
      await requireRunning(vmId);
      await rows.touch(vmId);
      return engine.client(vmId).call('POST', `/guest/checks/${name}`, CheckResult, { timeoutMs: checkTimeoutMs });
    },

    async openDesktop(vmId) {
      const row = await requireRunning(vmId);
      if (row.kind !== 'browser') throw new AppError('desktop_not_ready', `VM ${vmId} has no desktop.`);
      return engine.openDesktop(vmId);
    },

    async stopAll() {
      await Promise.all((await rows.active()).map((row) => (row.kind === 'cli' ? cli.stop(row) : end.destroy(row.id))));
    },

    async reconcile() {
      await Promise.all((await rows.active()).map(end.reconcile));
    },

    async lostFolders() {
      const [folders, known] = await Promise.all([engine.folders(), rows.ownerIds()]);
      return folders.filter((id) => !known.has(id)).map((id) => engine.folder(id));
    },

    async close() {
      lifetime.abort(new AppError('shutting_down', 'The controller is shutting down.'));
      await stopSweeping();
      await watcher.close();
      await engine.close();
    },
  };
}

/** Runs `work` again and again, never twice at once; the answer stops that and waits for the run under way. */
function repeat(work: () => Promise<void>, log: Logger): () => Promise<void> {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= work()
      .catch((error: unknown) => log.error({ err: error }, 'sweep of VMs failed'))
      .finally(() => (running = undefined));
  }, sweepIntervalMs);
  return async () => {
    clearInterval(timer);
    await running;
  };
}
