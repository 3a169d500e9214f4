/** For tests: an engine whose VMs are entries of a map; everything else of the vm folder is real. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { aborted, raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { HostCapacity, HostDriver } from '@airlock/contract/capacity';
import { guestProtocol } from '@airlock/contract/guest';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import type { RunnerStatus, VmSettings } from '@airlock/contract/runner';
import { readSettings } from '@airlock/contract/settings';
import type { Engine } from '../engine/engine.js';
import { addUser, openEmbeddedTestStore, silentLog, type TestStore } from '../store/testing.js';
import type { VmDeps } from './context.js';
import { createVms } from './create.js';
import type { RootUpdate } from './table.js';
import { isFinal } from './transitions.js';
import type { CliGuard, Vms, VmRow } from './vm.js';

export interface TestEngine extends Engine {
  /** What was done, in order: `start <vm>`, `stop <vm>`; with `root <number> <vm>`, `keep <numbers> <vm>` and `grow <gib> <vm>` among them. */
  done: string[];
  steps: string[];
  /** Of each start: whether others on the host come first. */
  low: boolean[];
  /** The driver of each start, in order. */
  startedBy: string[];
  /** VMs that run. */
  running: Set<string>;
  /** To whom VMs that waited were given, in order. */
  given: { vmId: string; sessionId: string }[];
  /** While set, giving a VM waits for it, or fails with it. */
  giveGate: (() => Promise<void>) | undefined;
  /** What it says of itself. */
  host: HostCapacity;
  /** While set, starts wait for it, and the stop of a VM for what it answers. */
  startGate: Promise<void> | undefined;
  stopGate: ((vmId: string) => Promise<void> | undefined) | undefined;
  /** While set, a guest that was started does not get ready. */
  bootGate: Promise<void> | undefined;
  /** While set, starts, or stops, fail with it. */
  startError: AppError | undefined;
  stopError: AppError | undefined;
  /** While set, making a disk waits for it. */
  diskGate: Promise<void> | undefined;
  /** What running VMs were told to take, in order. */
  configured: { vmId: string; settings: VmSettings }[];
  /** While set, a running VM takes settings as this says. */
  configureGate: ((vmId: string) => Promise<boolean>) | undefined;
  /** VMs whose files cannot be read. */
  unreadable: Set<string>;
  /** The VM ends by itself. */
  end(vmId: string): void;
  /** How often a VM was asked for its next status. */
  asked: number;
  /** The call for the VM's next status breaks off, while the VM runs on. */
  loseCall(vmId: string): void;
}

const identity = { pid: 1, startTicks: 1, bootId: 'test' };

function readyStatus(vmId: string, epoch: number): RunnerStatus {
  const now = Date.now();
  return {
    ...{ vmId, epoch, revision: 1, phase: 'ready', runner: identity, vmm: identity, error: null },
    ...{ startedAt: now, poweredOnAt: now, vncAt: null, agentAt: now, readyAt: now },
    egress: { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null },
  };
}

/** `client`: what answers for every guest. */
export function createTestEngine(client: JsonClient): TestEngine {
  const statuses = new Map<string, RunnerStatus>();
  const ends = new Map<string, AbortController>();
  const gone = (): AppError => new AppError('runner_failed', 'The runner is gone.');
  const did = (what: string): void => {
    engine.done.push(what);
    engine.steps.push(what);
  };
  const engine: TestEngine = {
    done: [],
    steps: [],
    asked: 0,
    low: [],
    startedBy: [],
    running: new Set(),
    given: [],
    giveGate: undefined,
    async assign(vmId, { sessionId }, signal) {
      await raceAbort(engine.giveGate?.() ?? Promise.resolve(), signal);
      const status = statuses.get(vmId);
      if (status?.phase !== 'waiting') throw new AppError('vm_not_waiting', 'It does not wait.');
      engine.given.push({ vmId, sessionId });
      statuses.set(vmId, { ...status, phase: 'ready', revision: status.revision + 1 });
      engine.loseCall(vmId);
    },
    host: { memory: { totalMib: 1e6, availableMib: 1e6 }, disk: { path: '/', freeMib: 1e6 }, vms: [] },
    startGate: undefined,
    stopGate: undefined,
    bootGate: undefined,
    startError: undefined,
    stopError: undefined,
    diskGate: undefined,
    unreadable: new Set(),
    client: () => client,
    capacity: async () => engine.host,
    createRoot: (vmId, { number }, { signal }) =>
      raceAbort(
        (engine.diskGate ?? Promise.resolve()).then(() => void engine.steps.push(`root ${number} ${vmId}`)),
        signal,
      ),
    keepRoots: async (vmId, numbers) => void engine.steps.push(`keep ${numbers.join()} ${vmId}`),
    growHome: async (vmId, gib) => void engine.steps.push(`grow ${gib} ${vmId}`),
    readHome: () => Promise.reject(gone()),
    receiveHome: () => Promise.reject(gone()),
    dropReceived: async () => [],
    createHome: (_vmId, _gib, signal) => raceAbort(engine.diskGate ?? Promise.resolve(), signal),
    configured: [],
    configureGate: undefined,
    configure(vmId, settings, signal) {
      engine.configured.push({ vmId, settings });
      return raceAbort(engine.configureGate?.(vmId) ?? Promise.resolve(true), signal);
    },
    async start({ vmId, epoch, low, driver, waits }) {
      await engine.startGate;
      if (engine.startError) throw engine.startError;
      did(`start ${vmId}`);
      engine.low.push(low);
      engine.startedBy.push(driver);
      engine.running.add(vmId);
      ends.set(vmId, new AbortController());
      statuses.set(vmId, { ...readyStatus(vmId, epoch), phase: waits ? 'waiting' : 'ready' });
    },
    async status(vmId) {
      if (engine.unreadable.has(vmId)) throw new AppError('runner_failed', 'Its status cannot be read.');
      const status = statuses.get(vmId);
      return status && { status, alive: engine.running.has(vmId) };
    },
    nextStatus(vmId, after, signal) {
      engine.asked += 1;
      const status = statuses.get(vmId);
      const end = ends.get(vmId);
      if (!status || !end || end.signal.aborted) return Promise.reject(gone());
      if (after < status.revision) {
        return raceAbort(
          (engine.bootGate ?? Promise.resolve()).then(() => status),
          signal,
        );
      }
      return raceAbort(
        aborted(end.signal).then(() => Promise.reject(gone())),
        signal,
      );
    },
    end(vmId) {
      engine.running.delete(vmId);
      ends.get(vmId)?.abort();
    },
    loseCall(vmId) {
      ends.get(vmId)?.abort();
      ends.set(vmId, new AbortController());
    },
    openDesktop: () => Promise.reject(gone()),
    async stop(vmId) {
      await engine.stopGate?.(vmId);
      if (engine.stopError) throw engine.stopError;
      if (engine.running.delete(vmId)) did(`stop ${vmId}`);
      ends.get(vmId)?.abort();
    },
    remove: async () => undefined,
    lost: async () => [],
    prune: async () => [],
    close: async () => undefined,
  };
  return engine;
}

/** The row of a browser VM that runs. */
export const exampleVm = (userId: string): VmRow => ({
  ...{
    id: newId('vm'),
    userId,
    kind: 'browser',
    state: 'running',
    sessionId: null,
    imageId: 'img_000000',
    vmUser: null,
    bornWith: null,
  },
  ...{
    accel: 'tcg',
    countMs: null,
    network: null,
    driver: null,
    driverReason: null,
    epoch: 1,
    timings: { vncMs: 1, agentMs: 2, readyMs: 3 },
    error: null,
  },
  ...{ createdAt: new Date(), readyAt: new Date(), lastUsedAt: null, destroyAt: null, rootNumber: 0, rootUpdate: null },
});

/** What somebody has just asked for. */
const newRootUpdate: RootUpdate = {
  ...{ kind: 'update', state: 'waiting', now: false, run: true, from: null, to: null, broken: 0 },
  ...{ since: Date.now(), error: null },
};

/** Where a stand-in keeps its rows. */
export interface RowKeep {
  all(): VmRow[] | Promise<VmRow[]>;
  put(row: VmRow): unknown;
}

const refuse = async (): Promise<never> => {
  throw new AppError('vm_not_running', 'The stand-in runs no VM.');
};

/** The one stand-in of the face: rows of `keep` and no VM. A test gives the verbs that it plays; the others refuse, or do nothing. */
export function standInVms(keep: RowKeep, verbs: Partial<Vms>): Vms {
  const nothing = async (): Promise<void> => undefined;
  const get = async (vmId: string): Promise<VmRow | undefined> => (await keep.all()).find(({ id }) => id === vmId);
  const change = async (vmId: string, values: Partial<VmRow>): Promise<void> => {
    const row = await get(vmId);
    if (row) keep.put({ ...row, ...values });
  };
  const changed = async (vmId: string, values: Partial<VmRow>): Promise<VmRow> => {
    await change(vmId, values);
    return (await get(vmId)) ?? refuse();
  };
  return {
    get,
    list: async (userId) => (await keep.all()).filter((row) => userId === null || row.userId === userId),
    cliOf: async (userId) =>
      (await keep.all()).find((row) => row.userId === userId && row.kind === 'cli' && !isFinal(row.state)),
    scheduleDestroy: (vmId, destroyAt) => change(vmId, { destroyAt }),
    destroy: (vmId) => change(vmId, { state: 'destroyed' }),
    stop: (vmId) => changed(vmId, { state: 'stopped' }),
    start: (vmId) => changed(vmId, { state: 'starting' }),
    restart: (vmId) => changed(vmId, { state: 'starting' }),
    usesOf: () => 0,
    update: (vmId, asked) => changed(vmId, { rootUpdate: { ...newRootUpdate, ...asked } }),
    ...{ updateAll: refuse, backup: refuse, restore: refuse },
    behind: async () => new Map(),
    ...{ createWaiting: refuse, assign: refuse, dropWaiting: refuse, waiting: async () => [] },
    ...{ createBrowser: refuse, ensureCli: refuse, useCli: refuse, waitReady: refuse },
    ...{ guest: refuse, desktopGuest: refuse, health: refuse, runCheck: refuse, openDesktop: refuse },
    protocolOf: async () => guestProtocol,
    ...{ requireCapacity: nothing, stopAll: nothing, stopAllOf: nothing, removeAllOf: nothing },
    ...{ reconcile: nothing, close: nothing },
    lostFolders: async () => [],
    ...verbs,
  };
}

export interface TestVms {
  database: TestStore;
  engine: TestEngine;
  vms: Vms;
  /** What `vms` was made with. */
  deps: VmDeps;
  /** The one user there is. */
  readonly userId: string;
  /** Keys of homes, by VM. */
  homeKeys: VmDeps['homeKeys'] & { held: Map<string, string> };
  /** Users who are disabled. */
  keptOut: Set<string>;
  /** Users who are signing in. */
  signingIn: Set<string>;
  /** The current image. */
  imageId: string;
  /** Apparent size of the root of every image. */
  rootBytes: number;
  /** What agents of images speak that do not speak the present protocol, by the image. */
  protocols: Map<string, number>;
  /** The drivers that the image with this id names; none by default. */
  drivers: Map<string, string[]>;
  /** What VMs can be started with; to be changed in place. */
  hostDrivers: HostDriver[];
  /** A controller that ended, and the next one, with these settings besides, which has not looked at the rows yet. */
  restart(more?: Record<string, string>): Promise<void>;
}

const unguarded: CliGuard = {
  starting: async () => undefined,
  ready: async () => undefined,
  proved: async () => undefined,
  ending: async () => undefined,
};

function createTestHomeKeys(): TestVms['homeKeys'] {
  const held = new Map<string, string>();
  return {
    held,
    sealHomeKey: async (vmId, key = randomBytes(64).toString('base64')) => void held.set(vmId, key),
    openHomeKey: async (vmId) => {
      const key = held.get(vmId);
      if (key === undefined) throw new AppError('home_key_lost', `There is no key for ${vmId}.`);
      return key;
    },
    dropHomeKey: async (vmId) => void held.delete(vmId),
  };
}

const versionsOfNothing = { versions: {}, debian: { suite: 'trixie', version: '13' }, browser: 'chromium' };

/** What waits for `opened` goes on after `open`. */
export function gate(): { opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  return { opened: new Promise<void>((resolve) => (open = resolve)), open: () => open() };
}

/** Vms on a real database for a test file; everything but the database is new before each test. `env`: more settings. */
export function useVms(env: Record<string, string> = {}, guard = unguarded): TestVms {
  const client = createJsonClient({ baseUrl: 'http://127.0.0.1:1', unreachable: 'guest_unreachable', name: 'nobody' });

  function open(more: Record<string, string> = {}): void {
    const { database } = host;
    const disk = join(database.home, 'rootfs.ext4');
    const manifest = async (id: string): Promise<object> => {
      const artefacts = { rootfs: { size: host.rootBytes } };
      return {
        ...versionsOfNothing,
        id,
        artefacts,
        drivers: host.drivers.get(id) ?? null,
        guestProtocol: host.protocols.get(id) ?? guestProtocol,
      };
    };
    const image = async (): Promise<object> => {
      return { kernel: disk, initrd: disk, rootfs: disk, manifest: await manifest(host.imageId) };
    };
    host.deps = {
      store: database.store,
      engine: host.engine,
      images: { current: image, get: image, currentId: async () => host.imageId, manifest } as never,
      homeKeys: host.homeKeys,
      async proxyPort(userId) {
        if (host.keptOut.has(userId)) throw new AppError('user_disabled', 'They are disabled.');
        return 10001;
      },
      signingIn: async () => host.signingIn,
      host: {
        accel: 'tcg',
        accelReason: 'a test',
        drivers: host.hostDrivers,
        countMs: { kvm: null, tcg: 310 },
        network: 'user',
        vmUsers: null,
        tscKhz: null,
      },
      settings: { ...readSettings({ AIRLOCK_HOME: database.home, ...env, ...more }), AIRLOCK_VM_MEMORY_MIB: 1 },
      log: silentLog,
      sweepMs: 50,
    };
    host.vms = createVms(host.deps, guard);
  }

  const host = {
    userId: newId('usr'),
    async restart(more) {
      await host.vms.close();
      open(more);
    },
  } as TestVms;

  beforeAll(async () => {
    host.database = await openEmbeddedTestStore();
  }, 120_000);
  afterAll(() => host.database.close(), 30_000);
  beforeEach(async () => {
    await host.database.empty();
    await addUser(host.database.store.db, host.userId);
    await writeFile(join(host.database.home, 'rootfs.ext4'), randomBytes(1000));
    host.homeKeys = createTestHomeKeys();
    host.signingIn = new Set();
    host.keptOut = new Set();
    host.imageId = 'img_000000';
    host.rootBytes = 1000;
    host.protocols = new Map();
    host.drivers = new Map();
    host.hostDrivers = [
      { ...{ name: 'a-newer', serials: false, imageId: null }, problem: null, reason: 'It is newer.', forced: false },
      { ...{ name: 'a-test', serials: true, imageId: null }, problem: null, reason: 'It is a test.', forced: false },
    ];
    host.engine = createTestEngine(client);
    open();
  });
  afterEach(() => host.vms.close());
  return host;
}
