/**
 * The privileged helper: the one program of Airlock that needs root. One process of it serves one connection, which is the runner's
 * for one VM, and gives back all that it made when the connection ends. Each request is a line of JSON and is answered by one.
 */
import { z } from 'zod';
import { ReceivedError } from './errors.js';
import { ImageId, SavedId, VmId } from './ids.js';
import { ProcessIdentity, VmRoot } from './runner.js';

/** The interface that a VM is plugged into; the same in the namespace of each. What the guest sees is `guestNetwork`. */
export const tapNetwork = { tap: 'airlock0', mac: '52:54:00:12:34:56', gatewayMac: '02:00:0a:00:02:64' } as const;

/** Name of the network namespace of a VM. */
export const namespaceOf = (vmId: string): string => `airlock-${vmId}`;

/** Unix sockets in the folder that the helper answers `network` with: by the first the runner is called, by the others it calls. */
export const relaySockets = { gateway: 'e.sock', agent: 'a.sock', desktop: 'd.sock' } as const;

/** Where a helper that systemd starts listens. */
export const helperSocket = '/run/airlock-helper.sock';

/** Where the VMM that Airlock has fetched is, for the helper to run: root's, like all above it. */
export const helperPrograms = '/usr/local/bin';

/** Bytes of a line, either way. */
export const maxHelperLine = 64 * 1024;

/** Descriptors of a program in its jail, after the three that every program has: its monitor, its TAP, and its files in order. */
export const jailDescriptors = { monitor: 3, tap: 4, firstFile: 5 } as const;

/** What a program whose files have names finds in its root folder besides: where its API is to listen, and pipes for what it says. */
export const jailPlaces = {
  api: 'api.sock',
  console: 'serial.fifo',
  messages: 'log.fifo',
  metrics: 'metrics.fifo',
} as const;

/** A file that a VMM is to have, by what it is. Home and root of the VM, and a VM that is being saved, may be written; the others not. */
export const JailFile = z.discriminatedUnion('of', [
  z.strictObject({ of: z.literal('image'), imageId: ImageId, file: z.enum(['kernel', 'initrd', 'rootfs']) }),
  z.strictObject({ of: z.literal('home') }),
  z.strictObject({ of: z.literal('root'), ...VmRoot.shape }),
  z.strictObject({ of: z.literal('config') }),
  z.strictObject({ of: z.literal('saved'), savedId: SavedId, file: z.enum(['state', 'memory']), write: z.boolean() }),
]);
export type JailFile = z.infer<typeof JailFile>;

/** As the administrator's list has it. */
export const ProgramName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/);

/** An id of a user and group for VMMs: not root's, nor anybody's that Debian makes by itself. */
export const VmUser = z.int().min(65536).max(4_294_967_294);
/** Both included: a range of ids that belongs to nobody else. */
export const VmUsers = z.strictObject({ first: VmUser, last: VmUser });
export type VmUsers = z.infer<typeof VmUsers>;

const JailRequest = z.strictObject({
  verb: z.literal('start'),
  /** One of those that the administrator has named to the helper. */
  program: ProgramName,
  /** Given to the program once nothing is left to it that these could misuse. */
  arguments: z.array(z.string().max(4096)).max(200),
  files: z.array(JailFile).max(16),
  /**
   * Of the files, in the same order, in the root folder that the jailer of the program makes; its monitor is its API then. Without, all
   * are descriptors.
   */
  names: z
    .array(z.string().regex(/^[a-z][a-z0-9.-]{0,62}$/))
    .max(16)
    .optional(),
  kvm: z.boolean(),
  /** Of the guest; limits follow from it. */
  memoryMib: z.int().min(16).max(65536),
  cpus: z.int().min(1).max(16),
});
export type JailRequest = z.infer<typeof JailRequest>;

/** Closed: a verb that is not here does not exist. They name a VM by its id, and nothing by a path. */
export const HelperRequest = z.discriminatedUnion('verb', [
  /** What this host offers. */
  z.strictObject({ verb: z.literal('status') }),
  /** Makes the network of a VM; once on a connection. Its VMM's user and group, of `VmUsers`; absent: one that is free. */
  z.strictObject({ verb: z.literal('network'), vmId: VmId, vmUser: VmUser.optional() }),
  /** Starts the VMM of that VM in a jail; once on a connection. Events follow. */
  JailRequest,
  /** Bytes for the VMM's monitor, base64. Not answered. */
  z.strictObject({ verb: z.literal('monitor'), data: z.base64().max(maxHelperLine) }),
  /** Ends the VMM. Not answered: its exit is an event. */
  z.strictObject({ verb: z.literal('kill') }),
]);
export type HelperRequest = z.infer<typeof HelperRequest>;

export const HelperStatus = z.strictObject({
  /** Of this protocol. */
  version: z.literal(1),
  /** Why no network or no jail can be made here: one sentence; null when both can. */
  problem: z.string().max(1000).nullable(),
  /** What VMMs may be; absent: a helper of an earlier version, which chooses by itself. */
  vmUsers: VmUsers.optional(),
});
export type HelperStatus = z.infer<typeof HelperStatus>;

/** Absolute path of the folder with `relaySockets`, which belongs to the runner's user. */
export const NetworkAnswer = z.strictObject({ folder: z.string().max(80).startsWith('/') });
export type NetworkAnswer = z.infer<typeof NetworkAnswer>;

/** What a request is answered with when it cannot be done. */
export const HelperRefusal = z.strictObject({ error: ReceivedError });

export const JailAnswer = z.strictObject({ identity: ProcessIdentity });
export type JailAnswer = z.infer<typeof JailAnswer>;

/** What the VMM in the jail says, base64, as far as the runner reads it; and its end. */
export const HelperEvent = z.discriminatedUnion('event', [
  z.strictObject({ event: z.enum(['console', 'messages', 'metrics', 'monitor']), data: z.base64().max(maxHelperLine) }),
  z.strictObject({ event: z.literal('exit'), code: z.int().nullable(), signal: z.string().max(20).nullable() }),
]);
export type HelperEvent = z.infer<typeof HelperEvent>;
