/** Bodies of the controller's HTTP API other than the session itself. Times are ISO 8601 in UTC. */
import { z } from 'zod';
import { CanaryReport } from './canary.js';
import { ErrorBody } from './errors.js';
import { ImageId, SessionId, UserId, VmId } from './ids.js';
import { ProviderId } from './provider/provider.js';
import { CheckName, PromptFrame, promptLimits, WorkFolder } from './guest.js';
import { Session, SessionStatus } from './session.js';
import { named } from './named.js';
import { StartedWith, VmNetwork } from './started-with.js';

export const UserName = z
  .string()
  .regex(/^[a-z][a-z0-9._-]{0,38}$/, 'a lower-case letter, then up to 38 of a-z 0-9 . _ -');

export const User = z
  .strictObject({
    id: UserId,
    name: UserName,
    role: z.enum(['admin', 'user']),
    /** The user's own port at the upstream proxy; unique, from AIRLOCK_PROXY_PORT_BASE up. */
    proxyPort: z.int().min(1).max(65535),
    createdAt: z.iso.datetime(),
  })
  .register(named, { id: 'User' });
export type User = z.infer<typeof User>;

/** disabled: kept out, with all that is theirs left as it is. removing: the same, while all that is theirs goes. */
const UserState = z.enum(['active', 'disabled', 'removing']);
export const ListedUser = User.extend({ state: UserState }).register(named, { id: 'ListedUser' });
export type ListedUser = z.infer<typeof ListedUser>;

/** `GET /api/users` (admin). */
export const UserList = z.strictObject({ users: z.array(ListedUser) });
export const CreateUserRequest = z.strictObject({ name: UserName });
/** `token` is shown this once and stored only as a hash. */
export const CreateUserResponse = z.strictObject({ user: User, token: z.string() });

export const ProviderSummary = z
  .strictObject({
    id: ProviderId,
    name: z.string(),
    vendor: z.string(),
    description: z.string(),
    /** False while sign-in for this provider is not part of this version. */
    available: z.boolean(),
    state: z.enum(['not_connected', 'connecting', 'connected', 'needs_login']),
    /** The session under way, if one is. */
    sessionId: SessionId.nullable(),
    connectedAt: z.iso.datetime().nullable(),
    /** The newest session's end, when it did not complete. */
    lastFailure: z
      .strictObject({ sessionId: SessionId, status: SessionStatus, error: ErrorBody.nullable() })
      .nullable(),
  })
  .register(named, { id: 'ProviderSummary' });
export type ProviderSummary = z.infer<typeof ProviderSummary>;
export const ProviderList = z.strictObject({ providers: z.array(ProviderSummary) });

/** `provider` is checked against the known ids and aliases afterwards, so that an unknown one has its own error. */
export const StartSessionRequest = z.strictObject({ provider: z.string().min(1).max(64) });
export const StartSessionResponse = z.strictObject({
  sessionId: SessionId,
  provider: ProviderId,
  status: SessionStatus,
});
export const SessionList = z.strictObject({ sessions: z.array(Session) });

export const VmKind = z.enum(['browser', 'cli']);
export type VmKind = z.infer<typeof VmKind>;
/**
 * creating → starting → running → stopping → stopped (kept, may start again); from each of them → destroying → destroyed (final).
 * failed (final): could not start, or ended by itself; its resources are already released. docs/vm-states.md has every way.
 * waiting: a browser VM that is ready, stands still, and is given to the next sign-in.
 */
export const VmState = z.enum([
  'creating',
  'starting',
  'waiting',
  'running',
  'stopping',
  'stopped',
  'destroying',
  'failed',
  'destroyed',
]);
export type VmState = z.infer<typeof VmState>;

/**
 * How far the replacement of a CLI VM's root has come; its home stays. waiting: for its turn. copying: the new root is being made
 * beside the old one. copied: as soon as nobody uses the VM, it goes on. proving: the VM starts, or has started, from the new root,
 * and the CLIs are asked whether their logins work. failed: the old root is in use as before, and `error` says why.
 */
export const VmUpdateState = z.enum(['waiting', 'copying', 'copied', 'proving', 'failed']);
export type VmUpdateState = z.infer<typeof VmUpdateState>;

/** update: a newer image's root. reset: a fresh one, also of the same image. */
export const VmUpdateKind = z.enum(['update', 'reset']);
export type VmUpdateKind = z.infer<typeof VmUpdateKind>;

/** One thing that differs between two images, by what a person calls it, such as `Codex` or `kernel`. */
const VersionChange = z.strictObject({ name: z.string(), from: z.string().nullable(), to: z.string().nullable() });
export type VersionChange = z.infer<typeof VersionChange>;

export const Vm = z
  .strictObject({
    id: VmId,
    /** null: a browser VM that nobody has yet. */
    userId: UserId.nullable(),
    kind: VmKind,
    state: VmState,
    sessionId: SessionId.nullable(),
    imageId: ImageId,
    accel: z.enum(['kvm', 'tcg']),
    ...StartedWith.shape,
    createdAt: z.iso.datetime(),
    /** When the VM last became ready. */
    readyAt: z.iso.datetime().nullable(),
    /** When it is destroyed by itself; null when nothing is scheduled. */
    destroyAt: z.iso.datetime().nullable(),
    /** When a running CLI VM is stopped, at the earliest, if nobody uses it until then; null otherwise. */
    stopAt: z.iso.datetime().nullable(),
    /** How many prompts and checks run in a CLI VM now, or wait for its start: what a stop by hand ends. */
    uses: z.int().nonnegative(),
    /** The replacement of a CLI VM's root that is under way, or that failed last; null when there is none. */
    update: z
      .strictObject({
        kind: VmUpdateKind,
        state: VmUpdateState,
        /** The image that the root is, or was, to come from; null until that is known. */
        imageId: ImageId.nullable(),
        /** When it came into this state. */
        since: z.iso.datetime(),
        error: ErrorBody.nullable(),
      })
      .nullable(),
    /** What a CLI VM would get by an update: the image that is current, and what is different in it; null when it has that. */
    behind: z.strictObject({ imageId: ImageId, changes: z.array(VersionChange) }).nullable(),
    /** Milliseconds from power-on; null where not reached. */
    timings: z.strictObject({
      vncMs: z.number().nullable(),
      agentMs: z.number().nullable(),
      readyMs: z.number().nullable(),
    }),
    error: ErrorBody.nullable(),
  })
  .register(named, { id: 'Vm' });
export type Vm = z.infer<typeof Vm>;
export const VmList = z.strictObject({ vms: z.array(Vm) });
/** `POST /api/vm` (admin): a browser VM outside of any sign-in, destroyed after `leaseMinutes`; used by `airlock selftest`. */
export const CreateVmRequest = z.strictObject({
  kind: z.literal('browser'),
  leaseMinutes: z.int().min(1).max(240).default(10),
});
/** `POST /api/vm/:id/update` and `/reset`; without a body, the defaults. `now`: whatever uses the VM, instead of once nobody does. */
export const UpdateVmRequest = z.strictObject({ now: z.boolean().default(false) });
/** At least 12 characters: the only thing between a stolen backup file and its content. */
export const Passphrase = z.string().min(12).max(1024);
/** `POST /api/vault/challenge` (admin): what a proof of contract/key-proof is made of, once and within a minute. */
export const KeyChallenge = z.strictObject({ nonce: z.string(), expiresAt: z.iso.datetime() });
const KeyProof = z.string().max(256);
/**
 * `POST /api/vm/:id/backup`. `now`: whatever uses the VM. `keyProof`: where the VM is not the caller’s. The answer is the file, as
 * application/octet-stream.
 */
export const BackupHomeRequest = z.strictObject({
  passphrase: Passphrase,
  now: z.boolean().default(false),
  keyProof: KeyProof.optional(),
});
/**
 * `POST /api/vm/restore`: the first line of a body of application/octet-stream, as JSON; the file follows. `user`: whose CLI VM it
 * becomes; by default, of the user whom the backup names, and for others than administrators, of the caller. `replace`: the CLI VM that
 * this user has is destroyed.
 */
export const RestoreHomeRequest = z.strictObject({
  passphrase: Passphrase,
  user: UserName.optional(),
  replace: z.boolean().default(false),
  /** Where it becomes somebody else’s. */
  keyProof: KeyProof.optional(),
});
export const RunCheckRequest = z.strictObject({ name: CheckName });

/** `POST /api/vm/:id/cli/prompt`; `provider` is checked against the known ids and aliases afterwards. */
export const RunPromptRequest = z.strictObject({
  provider: z.string().min(1).max(64),
  prompt: z.string().min(1).max(promptLimits.characters),
  /** Seconds that the CLI may take; at most, and by default, AIRLOCK_PROMPT_TIMEOUT_S. */
  timeoutS: z.int().min(1).max(86_400).optional(),
  cwd: WorkFolder.optional(),
});
export type RunPromptRequest = z.infer<typeof RunPromptRequest>;
/** One event of the answer's stream, as JSON after `data: `. The stream ends with `data: [DONE]`. */
export const PromptEvent = PromptFrame;
export type PromptEvent = z.infer<typeof PromptEvent>;

/** `POST /api/vm/:id/desktop-ticket`. `path` is the WebSocket path with the ticket in it; good once, until `expiresAt`. */
export const DesktopTicket = z.strictObject({ path: z.string(), expiresAt: z.iso.datetime() });

/**
 * valid: the CLI accepts it. expiring: it ends soon and cannot renew itself. needs_login: the CLI does not accept it, or it is
 * gone from the CLI VM. revoked: the provider took it back. unknown: not checked yet, or the check could not run.
 */
export const CredentialHealth = z.enum(['valid', 'expiring', 'needs_login', 'revoked', 'unknown']);
export type CredentialHealth = z.infer<typeof CredentialHealth>;

/** `GET /api/credentials`: never the secret. */
export const CredentialSummary = z
  .strictObject({
    provider: ProviderId,
    /** Grows with each sign-in, each refresh by the CLI, and each removal; never used twice. */
    generation: z.int().positive(),
    /** staged: sealed, not proved yet. active: in use. removing: gone from the vault, still to be removed from the CLI VM. */
    state: z.enum(['staged', 'active', 'removing']),
    method: z.enum(['login', 'api_key']),
    updatedAt: z.iso.datetime(),
    health: CredentialHealth,
    /** One sentence: why. */
    healthReason: z.string(),
    /** When the CLI was last asked. */
    lastCheckedAt: z.iso.datetime().nullable(),
    /** When the access that the files carry ends; a CLI that can renew it does so by itself. */
    expiresAt: z.iso.datetime().nullable(),
    /** The CLI VM that holds it. */
    holderVmId: VmId.nullable(),
    /**
     * Whether the vault's copy is the newest. in_use: the CLI VM runs and is looked at every few seconds. newest: the CLI VM
     * stopped after a last look. unconfirmed: it ended without one; its next start tells.
     */
    copy: z.enum(['in_use', 'newest', 'unconfirmed']),
    /** One sentence: why the vault's copy may not be the newest, such as a CLI VM that does not answer. Empty: nothing says so. */
    copyReason: z.string(),
    /** Why the last attempt to store an API key failed. */
    error: ErrorBody.nullable(),
  })
  .register(named, { id: 'CredentialSummary' });
export type CredentialSummary = z.infer<typeof CredentialSummary>;
export const CredentialList = z.strictObject({ credentials: z.array(CredentialSummary) });

/** `PUT /api/credentials/:provider/api-key`: taken, and proved by the CLI in the background (state `staged` until then). */
export const ApiKeyRequest = z.strictObject({ key: z.string().min(8).max(512) });
export const ApiKeyResponse = z.strictObject({ provider: ProviderId, generation: z.int().positive() });
/** `DELETE /api/credentials/:provider`. pending: the CLI VM is stopped; it is done at its next start, before anything else. */
export const RemoveCredentialResponse = z.strictObject({ cliVm: z.enum(['removed', 'pending', 'none']) });
export type RemoveCredentialResponse = z.infer<typeof RemoveCredentialResponse>;

/** `POST /api/vault/backup` (admin, with `keyProof`): everything sealed, under a passphrase, as one compact JWE. */
export const BackupRequest = z.strictObject({ passphrase: Passphrase, keyProof: KeyProof.optional() });
export const BackupResponse = z.strictObject({
  backup: z.string(),
  credentials: z.int(),
  homeKeys: z.int(),
  /** Credentials whose newest form may be on the disk of a CLI VM that ended without a last look, or cannot be looked into. */
  unconfirmed: z.int(),
});
/** `POST /api/vault/restore` (admin, with `keyProof`). */
export const RestoreRequest = z.strictObject({
  passphrase: Passphrase,
  backup: z.string().min(1),
  keyProof: KeyProof.optional(),
});
export const RestoreResponse = z.strictObject({
  entries: z.array(
    z.strictObject({
      /** `ada/codex`, or the id of a VM whose home key it is. */
      name: z.string(),
      /**
       * kept: what is here is as new. newer: what is here is newer and was left alone. absent: nothing here that it belongs to. left_out:
       * it is no credential, or no home key.
       */
      result: z.enum(['restored', 'kept', 'newer', 'absent', 'left_out']),
      /** Why it was left out: the file and the member, never a value. */
      reason: z.string().nullable(),
    }),
  ),
});
export type RestoreResponse = z.infer<typeof RestoreResponse>;
/** `GET /api/vault`, and the answer of `POST /api/vault/rotate` (admin). */
export const VaultStatus = z
  .strictObject({
    /** Names the key in use, and those that sealed secrets still need; not the keys. */
    keyId: z.string(),
    oldKeyIds: z.array(z.string()),
    /** Sealed secrets, and how many of them an old key still opens. */
    sealed: z.int(),
    underOldKeys: z.int(),
    /** Sealed under a key that is not here: only a backup brings them back. */
    lost: z.int(),
  })
  .register(named, { id: 'VaultStatus' });
export type VaultStatus = z.infer<typeof VaultStatus>;

/** `GET /api/system` (admin). */
export const SystemStatus = z
  .strictObject({
    version: z.string(),
    startedAt: z.iso.datetime(),
    accel: z.enum(['kvm', 'tcg']),
    accelReason: z.string(),
    /** The VMM's driver of VMs of the current image, null when there is none; and why. */
    driver: z.string().nullable(),
    driverReason: z.string(),
    /** Of VMs that are started now: a namespace of each one's own, or the VMM's own; and in one sentence why. */
    network: VmNetwork,
    networkReason: z.string(),
    imageId: ImageId.nullable(),
    database: z.enum(['pglite', 'postgresql']),
    vms: z.strictObject({ running: z.int(), total: z.int() }),
    /** VM folders on this host that no row explains: left alone, reported here. */
    lostVmFolders: z.array(z.string()),
    /** The coding CLIs of the current image. */
    clis: z.array(z.strictObject({ id: ProviderId, name: z.string(), version: z.string() })),
    /** What the last `npm run canary` found out about the newest ones; null when there was none. */
    canary: CanaryReport.nullable(),
  })
  .register(named, { id: 'SystemStatus' });
export type SystemStatus = z.infer<typeof SystemStatus>;
