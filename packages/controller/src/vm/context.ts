/** What the verbs of a VM work on: what was handed in, and what this controller remembers of work under way. */
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { createBackground, type Background } from '@airlock/contract/background';
import type { HostChoice } from '@airlock/contract/capacity';
import type { NetworkChoice } from '@airlock/contract/network-choice';
import type { Settings } from '@airlock/contract/settings';
import type { Engine } from '../engine/engine.js';
import type { Images } from '../image/image.js';
import { createQueue, createShared, type Queue, type Shared } from '../lib/keyed.js';
import type { Store } from '../store/store.js';
import type { RowContext } from './rows.js';
import type { CliGuard, VmRow } from './vm.js';
import type { Followed } from './watch.js';

export interface VmDeps {
  store: Pick<Store, 'db'>;
  engine: Engine;
  images: Images;
  /** Keys of CLI VMs' homes, made when a VM is and dropped when it goes. */
  homeKeys: {
    /** A new one, unless it is given. */
    sealHomeKey(vmId: string, key?: string): Promise<void>;
    openHomeKey(vmId: string): Promise<string>;
    dropHomeKey(vmId: string): Promise<void>;
  };
  /** The user's own port at the upstream proxy. @throws AppError user_disabled for one who is kept out */
  proxyPort(userId: string): Promise<number>;
  /** Users who are signing in, or were after `since`: they are about to need their CLI VM. */
  signingIn(since: Date): Promise<ReadonlySet<string>>;
  host: HostChoice & Pick<NetworkChoice, 'network' | 'vmUsers'>;
  settings: Settings;
  log: Logger;
  /** How often deadlines are looked at, in ms; 1 s by default. */
  sweepMs?: number;
}

export interface VmContext extends VmDeps, RowContext {
  guard: CliGuard;
  /** Aborts when the controller shuts down. */
  signal: AbortSignal;
  /** By VM: whatever makes, starts, stops or removes one, each after the other. */
  turns: Queue;
  /** Whoever takes room on the host, one after the other. */
  room: Queue;
  /** By VM: removals under way. */
  removals: Shared<void>;
  /** What only `close` waits for. */
  background: Background;
  /** By user: one preparation of the CLI VM at a time; everybody who asks meanwhile waits for the same one. */
  preparations: Shared<VmRow>;
  /** By VM: new roots that are being made. */
  newRoots: Shared<VmRow | undefined>;
  /** By VM: those that the updater brings to another root beyond its copy. */
  updating: Shared<void>;
  /** VMs whose new root a controller before this one had not proved yet. */
  unproved: Set<string>;
  /** No VM gets another root, or is made in advance, by itself: all were stopped. */
  halted: boolean;
  /** VMs whose homes are being received, and the MiB of their disks: they have no row yet. */
  arriving: Map<string, number>;
  /** By user: how many use the CLI VM now. Uses end with the controller that knows them. */
  uses: Map<string, number>;
  /** By VM: runners that are followed. */
  followed: Map<string, Followed>;
  /** Emits the VM's id whenever its runner has reported. */
  heard: EventEmitter<Record<string, []>>;
}

export function createContext(deps: VmDeps, guard: CliGuard, signal: AbortSignal): VmContext {
  return {
    ...deps,
    db: deps.store.db,
    changes: newEmitter<VmContext['changes']>(),
    guard,
    signal,
    turns: createQueue(),
    room: createQueue(),
    removals: createShared(),
    background: createBackground(deps.log),
    preparations: createShared(),
    newRoots: createShared(),
    updating: createShared(),
    unproved: new Set(),
    halted: false,
    arriving: new Map(),
    uses: new Map(),
    followed: new Map(),
    heard: newEmitter<VmContext['heard']>(),
  };
}

const newEmitter = <T>(): T => new EventEmitter().setMaxListeners(0) as T;
