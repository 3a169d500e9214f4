/**
 * The runner: one process per VM, started by an engine as `airlock-runner <vm folder>` with `RunnerSecrets` as JSON on its
 * standard input. It answers HTTP and JSON on the unix socket `<vm folder>/r.sock`:
 *
 *   GET  /status[?after=N]   RunnerStatus; with `after`, waits until revision > N or 20 s have passed
 *   POST /stop               {graceMs} → 202; powers the guest off (or kills it when graceMs is 0), cleans up, exits
 *   POST /configure          VmSettings → ConfigureAnswer, once they are in force in the running VM and its agent has reported so; one
 *                            after the other. Errors: invalid_request, vm_not_running (not before the VM is configured, or not any
 *                            more), config_invalid, guest_unreachable, guest_refused, the agent's own
 *   POST /assign             AssignRequest → RunnerStatus, once the VM, which waited, is the session's and works as it did. Once: whatever
 *                            goes wrong ends the VM. Errors: invalid_request, vm_not_waiting, those of /configure, vm_lost
 *   GET  /desktop            Upgrade: rfb → 101, then the RFB byte stream with security type None
 *   ANY  /guest/<path>       forwarded to the agent, authenticated by the runner; `deadlineHeader` gives the agent its time
 *
 * The folder is the whole truth about a VM: spec.json, status.json (last RunnerStatus), runner.log, serial.log, vmm.log,
 * sockets. All logs are bounded.
 */
import { z } from 'zod';
import { CountMs } from './count-ms.js';
import { ReceivedError } from './errors.js';
import { ImageId, SessionId, VmId } from './ids.js';
import { GuestConfig } from './guest.js';
import { latestMs } from './received.js';
import { whyNoUpstream } from './upstream.js';

export const runnerFiles = {
  spec: 'spec.json',
  status: 'status.json',
  socket: 'r.sock',
  lock: 'runner.lock',
  runnerLog: 'runner.log',
  serialLog: 'serial.log',
  vmmLog: 'vmm.log',
  /** The disk of a CLI VM's home. Where the VM has no root of its own beside it, as versions before this one made it: its root, too. */
  disk: 'disk.ext4',
} as const;

/**
 * A root of a CLI VM: a full copy of an image's disk, which can be replaced. Numbers grow, so that the next one has its place beside
 * the one in use. Number 0: the VM has none, and boots from the disk of its home.
 */
export const VmRoot = z.strictObject({ number: z.int().nonnegative(), imageId: ImageId });
export type VmRoot = z.infer<typeof VmRoot>;

/**
 * Name of a root's file in the VM's folder. Number 0 has none: what is called so is an empty file, which says from which image the VM
 * may boot again.
 */
export const rootFile = ({ number, imageId }: VmRoot): string => `root.${number}.${imageId}.ext4`;

/** The root whose file is called so, or null. */
export function rootOfFile(name: string): VmRoot | null {
  const [, number, imageId] = /^root\.(0|[1-9]\d*)\.(.+)\.ext4$/.exec(name) ?? [];
  return VmRoot.safeParse({ number: Number(number), imageId }).data ?? null;
}

/** How the name of a disk's file ends until the disk is whole. */
export const partialEnding = '.partial';

/** What a CLI VM's folder has under `name`: its home (`root` is null), one of its roots, or a half one of them; null: no disk. */
export function diskOfFile(name: string): { root: VmRoot | null; isWhole: boolean } | null {
  const isWhole = !name.endsWith(partialEnding);
  const whole = isWhole ? name : name.slice(0, -partialEnding.length);
  const root = rootOfFile(whole);
  return root !== null || whole === runnerFiles.disk ? { root, isWhole } : null;
}

/** A process that can be recognised for certain after a restart: pid alone is reused, pid with start time and boot is not. */
export const ProcessIdentity = z.strictObject({
  pid: z.int().positive(),
  /** Field 22 of /proc/<pid>/stat: clock ticks between boot and process start. */
  startTicks: z.int().nonnegative(),
  /** /proc/sys/kernel/random/boot_id */
  bootId: z.string().regex(/^[\x20-\x7e]{1,64}$/),
});
export type ProcessIdentity = z.infer<typeof ProcessIdentity>;

/**
 * The drive that the guest boots from; the one with its home, where that is not on the root; and the one that carries its
 * configuration: the runner's own, not among `VmSpec.drives`.
 */
export const rootDriveId = 'root';
export const homeDriveId = 'home';
export const configDriveId = 'config';

const HostPath = z.string().max(4096);
const HostName = z.string().max(256);

/** A raw file that the guest sees as a disk with the serial number `airlock-<id>`. */
export const VmDrive = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{0,11}$/),
  /** Absolute. */
  path: HostPath,
  readOnly: z.boolean(),
});
export type VmDrive = z.infer<typeof VmDrive>;

/** What the specifications of all versions have in common. */
const specMembers = {
  vmId: VmId,
  kind: z.enum(['browser', 'cli']),
  /** Grows with each start of the same VM; a runner with an older one refuses to go on. */
  epoch: z.int().positive(),
  accel: z.enum(['kvm', 'tcg']),
  cpus: z.int().min(1).max(16),
  /** MiB; 2048 is the floor for a desktop. */
  memoryMib: z.int().min(16).max(65536),
  /** Absolute paths. */
  kernel: HostPath,
  initrd: HostPath,
  /** Milliseconds from power-on until the VM must be ready, or at least get on. */
  bootTimeoutMs: z.int().positive(),
  /** The same for a VM that gets on. Not there: twice as long, so that a version that does not know it reads the rest. */
  bootBoundMs: z.int().positive().optional(),
  /** Hosts (exact, or `.suffix`) that the gateway dials directly even when an upstream is set. */
  directHosts: z.array(HostName).max(1024),
  /** Hosts that may be on private networks; only there when there are some, so that a version that does not know it reads the rest. */
  allowedPrivateHosts: z.array(HostName).max(1024).optional(),
};

/** `<vm folder>/spec.json`: everything about the VM that is not secret. Written once, before the runner starts. */
export const VmSpec = z.strictObject({
  version: z.literal(2),
  ...specMembers,
  /** Socket of the privileged helper that makes the VM's network and jail. Absent, so that a version before it reads the rest: the VMM's own network. */
  helperSocket: HostPath.optional(),
  /** User and group of the VMM there; absent: the helper's choice. */
  vmUser: z.int().positive().optional(),
  /**
   * Nobody has the VM yet: its gateway refuses everything, and once it is ready it stands still and shows itself to nobody, until it is
   * given to a session.
   */
  waits: z.literal(true).optional(),
  /** Name of a driver in the runner's registry, which alone knows what it means. */
  driver: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  /** In the order in which the guest sees them; one is the root. */
  drives: z
    .array(VmDrive)
    .min(1)
    .max(8)
    .refine((drives) => drives.some(({ id }) => id === rootDriveId), 'there is no root drive')
    .refine((drives) => drives.every(({ id }) => id !== configDriveId), "the config drive is the runner's own")
    .refine((drives) => new Set(drives.map(({ id }) => id)).size === drives.length, 'two drives have the same id'),
  /** A folder in memory where one exists, 0700, for the config drive. */
  secretFolder: HostPath,
  /** HostProbe.tscKhz; null where the host's rate could not be found, and the guest has to find it by itself. */
  tscKhz: z.int().positive().nullable(),
});
export type VmSpec = z.infer<typeof VmSpec>;

/** What stands in the folders of VMs that a version before this one started. */
const VmSpec1 = z.strictObject({
  version: z.literal(1),
  ...specMembers,
  driver: z.string(),
  rootfs: z.string(),
  disk: z.string().nullable(),
  secretDir: z.string(),
  tscKhz: z.int().positive().nullable().optional(),
});

/**
 * The specification in the text of a spec.json of any version; a runner itself takes only the present one.
 * @throws when it is none: a SyntaxError or a ZodError
 */
export function readVmSpec(text: string): VmSpec {
  const spec = z.discriminatedUnion('version', [VmSpec, VmSpec1]).parse(JSON.parse(text));
  if (spec.version === 2) return spec;
  const { version: _, rootfs, disk, secretDir, tscKhz = null, ...same } = spec;
  const root = { id: rootDriveId, path: disk ?? rootfs, readOnly: disk === null };
  return { ...same, version: 2, drives: [root], secretFolder: secretDir, tscKhz };
}

/** Milliseconds from power-on after which a VM that is not ready is given up in any case. */
export const bootBoundOf = ({ bootTimeoutMs, bootBoundMs }: Pick<VmSpec, 'bootTimeoutMs' | 'bootBoundMs'>): number =>
  bootBoundMs ?? 2 * bootTimeoutMs;

/** The id of the image that a VM was started from. */
export const imageOf = ({ kernel }: Pick<VmSpec, 'kernel'>): string => kernel.split('/').at(-2) ?? '';

/** A user's upstream proxy. */
export const UpstreamUrl = z
  .string()
  .max(2048)
  .refine((url) => whyNoUpstream(url) === null, 'http://USER:PASS@HOST:PORT');

const Upstream = z.strictObject({
  url: UpstreamUrl,
  /** Hosts that the upstream is asked for once, to learn early whether it lets this user in: the providers' sign-ins. */
  trialHosts: z.array(HostName).max(1024),
});

/** Read by the runner from its standard input to the end; never on disk, in argv or in the environment. */
export const RunnerSecrets = z.strictObject({
  guestConfig: GuestConfig.strict(),
  /** null: the gateway dials directly. */
  upstream: Upstream.nullable(),
});
export type RunnerSecrets = z.infer<typeof RunnerSecrets>;

/** Unix epoch milliseconds of a time that there is. */
const Instant = z.int().nonnegative().max(latestMs);

export const RunnerStatus = z.strictObject({
  vmId: VmId,
  epoch: z.int().positive(),
  revision: z.int().nonnegative(),
  /**
   * starting: resources are being made. booting: powered on. configured: the agent applied the configuration. ready: see
   * GuestHealth.ready. waiting: it was, and stands still until a session gets it. stopping, stopped: asked for. failed: `error` says
   * why; everything is already released.
   */
  phase: z.enum(['starting', 'booting', 'configured', 'waiting', 'ready', 'stopping', 'stopped', 'failed']),
  runner: ProcessIdentity,
  vmm: ProcessIdentity.nullable(),
  /** Unix epoch milliseconds; null where not reached. */
  startedAt: Instant,
  poweredOnAt: Instant.nullable(),
  vncAt: Instant.nullable(),
  agentAt: Instant.nullable(),
  readyAt: Instant.nullable(),
  /** Counters of the egress gateway since start; `lastError` is its newest failure to reach the upstream. */
  egress: z.strictObject({
    connections: z.int().nonnegative(),
    refused: z.int().nonnegative(),
    bytesUp: z.int().nonnegative(),
    bytesDown: z.int().nonnegative(),
    lastError: ReceivedError.nullable(),
  }),
  error: ReceivedError.nullable(),
});
export type RunnerStatus = z.infer<typeof RunnerStatus>;

/** One of `VmSpec.directHosts` or `allowedPrivateHosts`, as a setting may name it. */
export const DirectHost = z.string().regex(/^\.?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'a host name, or .suffix');

/**
 * What may change while a VM runs, all of it: settings of the controller, which knows none of the VM's secrets any more once it has
 * been restarted. The runner adds what the VM was powered on with, the present time (forwards only) and fresh entropy. Programs that
 * run already keep the time zone and the authorities that they began with; connections that stand keep the way that they went.
 */
export const VmSettings = z.strictObject({
  timezone: GuestConfig.shape.timezone,
  extraCaPem: GuestConfig.shape.extraCaPem,
  upstream: Upstream.nullable(),
  directHosts: z.array(DirectHost).max(1024),
  /** As in `VmSpec`: a runner of a version before it takes settings without it. */
  allowedPrivateHosts: z.array(DirectHost).max(1024).optional(),
});
export type VmSettings = z.infer<typeof VmSettings>;
/** changed: false when all of it was in force already, and nothing was done. */
export const ConfigureAnswer = z.strictObject({ changed: z.boolean() });
export type ConfigureAnswer = z.infer<typeof ConfigureAnswer>;

/** Whom a VM that waits is given to. */
export const AssignRequest = z.strictObject({ sessionId: SessionId, settings: VmSettings });
export type AssignRequest = z.infer<typeof AssignRequest>;

export const StopRequest = z.strictObject({ graceMs: z.int().min(0).max(120_000) });

/** Printed as JSON by `airlock-runner probe [--cache FILE]`: what this host can do, measured and not assumed. */
export const HostProbe = z.strictObject({
  /** /proc/sys/kernel/random/boot_id: the verdict holds until the next boot. */
  bootId: z.string(),
  kvm: z.strictObject({
    present: z.boolean(),
    /** A guest counts under it, and not slower than under emulation. */
    usable: z.boolean(),
    /** False when this may be otherwise the next time (the host was too busy to tell): such a verdict is not kept. */
    certain: z.boolean(),
    /** What was found, with both figures where there are two. */
    reason: z.string(),
  }),
  countMs: CountMs,
  /** The runner's drivers, the preferred one first. */
  drivers: z.array(
    z.strictObject({
      /** What `VmSpec.driver` calls it. */
      name: z.string(),
      /** The program, and its version; null when it is not there. */
      path: z.string().nullable(),
      version: z.string().nullable(),
      /** Runs VMs without KVM too. */
      emulation: z.boolean(),
      /** Shows the guest each drive's serial number, by which images of every age find it. */
      serials: z.boolean(),
      /** The forms of network device that it takes: tap, user. */
      networks: z.array(z.string()),
      /** VMs can be run by it, and in one sentence why, or why not. */
      ok: z.boolean(),
      reason: z.string(),
    }),
  ),
  /** TSC frequency of the host in kHz (for `tsc_early_khz`), or null when it could not be found. */
  tscKhz: z.int().nullable(),
});
export type HostProbe = z.infer<typeof HostProbe>;
