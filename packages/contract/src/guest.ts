/**
 * The protocol of the OAuth agent inside a VM: HTTP and JSON on port 8080, `Authorization: Bearer <agentToken>` on every
 * call. Errors are `ErrorResponse`. Reached only through the VM's runner (`/guest/...` on its socket).
 *
 *   GET    /health                 GuestHealth
 *   POST   /config/reload          GuestHealth, after a newer generation of the config drive was applied
 *   GET    /clock                  GuestClock; of protocol 4, as is the next
 *   POST   /clock                  ClockMove → 204 once the clock is moved
 *   POST   /login                  LoginStatus (202); 409 login_running
 *   GET    /login                  LoginStatus
 *   POST   /login/input            LoginInput → LoginStatus; invalid_request for what is no code; 409 login_running when none is asked for
 *   DELETE /login                  LoginStatus; ends the CLI and every process it started
 *   GET    /login/terminal         LoginTerminal
 *   POST   /desktop/paste          DesktopPaste → DesktopPasted; in a browser VM only, as are the next three; desktop_not_ready
 *   POST   /desktop/type           DesktopTyping → 204; invalid_request, payload_too_large, desktop_not_ready
 *   GET    /desktop/copied         DesktopCopied
 *   POST   /desktop/size           DesktopSize → 204 once display and windows have it
 *   GET    /credentials            GuestCredentials: what is there, without content; cheap enough to be asked every few seconds
 *   GET    /credentials/:provider  CredentialBundle; 404 not_found until the CLI wrote a complete one
 *   PUT    /credentials/:provider  CredentialBundle → 204; files arrive atomically with owner and mode. `?generation=N`: noted
 *                                  beside them once all are in place, so that a delivery cut short is told from a finished one
 *   DELETE /credentials/:provider  204
 *   POST   /checks/:name           CheckResult
 *   POST   /prompts                PromptRequest → 200 and lines of PromptFrame as JSON, the last one with the exit code (an empty
 *                                  line now and then: still there); hanging up ends the CLI with all that it started; forbidden
 *                                  in a browser VM, not_connected, prompts_busy, provider_unavailable before anything starts
 *   POST   /power-off              204, then the VM shuts down
 *
 * Ages. A VM keeps the agent of its image, so that its controller may be newer, or older. `guestProtocol` counts what changes here; a
 * release raises it by one at most. Two sides whose protocols differ by one understand each other, whichever of them is older:
 *
 *   - Members that a side does not know, of an answer, of a request or of the config drive, it drops and never keeps. The values of
 *     those that it knows are checked as ever: a member never changes its meaning.
 *   - What an agent does not know (a route, a check, a value) is not asked of it, or in its own words (`checkNameFor`): the manifest of
 *     its image says its protocol. An agent answers with a new value (a state, say) only to who asked for it in a way that is new, too;
 *     two things are added without that: error codes, which read `internal` where they are not known, and providers.
 *   - Agents and controllers up to protocol 2 refuse members that they do not know: agents of protocol 3 answer no others, and requests
 *     to agents up to 2 carry no others.
 */
import { z } from 'zod';
import { ReceivedError } from './errors.js';
import { SessionId, VmId } from './ids.js';
import { formerIds, type FormerId } from './provider/former-ids.js';
import { LoginSettings } from './provider/setting.js';
import { ProviderId, providerIds } from './provider/provider.js';
import { named } from './named.js';
import { answerBytes, largeAnswers, receivedText } from './received.js';

/**
 * What an agent understands; its image's manifest says which. 1: as first released. 2: checks of versions are called
 * `version_<provider>`. 3: the home may be on a disk of its own.
 * 4: the routes below /desktop, the login's terminal, /clock, settings of a login, its method `callback`, and statuses of a prompt.
 */
export const guestProtocol = 4;
/** Of agents that are understood: the oldest, which is at least one behind, and the newest. Beyond them a VM is not started. */
export const oldestGuestProtocol = 1;
export const newestGuestProtocol = guestProtocol + 1;
/** The first that finds a home on a disk of its own. */
export const homeDiskProtocol = 3;
/** The first whose agent knows the routes below /desktop, the login's terminal, the method `callback`, and `statuses` of a prompt. */
export const desktopProtocol = 4;

/** Where the guest finds things; baked into the image, so both sides must agree. */
export const guestPaths = {
  agentBundle: '/usr/lib/airlock/agent.cjs',
  runFolder: '/run/airlock',
  /** Exists once a configuration has been applied; starts terminal and browser. */
  configuredFlag: '/run/airlock/configured',
  configDevice: '/dev/disk/by-id/virtio-airlock-config',
  home: '/home/airlock',
  /** The disk of the home, where it has one of its own. */
  homeDevice: '/dev/disk/by-id/virtio-airlock-home',
  /** Mounts that disk while the guest boots. */
  openHomeDisk: '/usr/lib/airlock/open-home-disk',
  /** Why it could not: a sentence, and below it the last output. Absent when it could. */
  homeDiskError: '/run/airlock/home-disk.error',
  /** Keeps everybody but root from where the disk is mounted. */
  stateFolder: '/var/lib/airlock',
} as const;
export const guestPorts = { agent: 8080, vnc: 5901 } as const;
export const guestUser = { name: 'airlock', uid: 1000, gid: 1000 } as const;
/** The page that the image's browser opens first: its title, and the colour of its background, which tells it from a blank window. */
export const startPage = { title: 'Airlock', background: [0xdf, 0xe8, 0xf2] } as const;
/** The address and port at which a guest finds its egress gateway, the only thing it can reach. */
export const guestNetwork = { address: '10.0.2.15', gatewayHost: '10.0.2.100', gatewayPort: 3128 } as const;

/** What the config drive carries. Holds secrets of this VM: kept in memory and on a tmpfs only, never logged. */
export const GuestConfig = z.object({
  version: z.literal(1),
  vmId: VmId,
  kind: z.enum(['browser', 'cli']),
  sessionId: SessionId.nullable(),
  hostname: z.string().regex(/^[a-z0-9-]{1,63}$/),
  timezone: z.string().regex(/^[A-Za-z0-9_+/-]{1,64}$/),
  /** Wall clock of the host when this was written, Unix epoch milliseconds. */
  epochMs: z.int().positive(),
  /** 64 random bytes, base64: mixed into the kernel's RNG before anything else runs. */
  entropy: z.base64().length(88),
  agentToken: z.string().min(32),
  /** 8 printable characters (the RFB limit); null for a VM without desktop. */
  vncPassword: z.string().length(8).nullable(),
  /** 64 bytes, base64: fscrypt key of the CLI VM's home folder; null for a browser VM, whose disk is memory. */
  homeKey: z.base64().length(88).nullable(),
  /** Extra certificate authorities, PEM; null when there are none. */
  extraCaPem: z.string().nullable(),
});
export type GuestConfig = z.infer<typeof GuestConfig>;

export const GuestHealth = z.object({
  agentVersion: receivedText(64),
  /** Generation of the configuration in force; 0 before the first. */
  generation: z.int().nonnegative(),
  vmId: VmId.nullable(),
  /** Milliseconds since the guest's kernel started. */
  uptimeMs: z.number().nonnegative().max(Number.MAX_SAFE_INTEGER),
  /** What of the desktop is up; null in a headless VM. */
  desktop: z
    .object({
      display: z.boolean(),
      vnc: z.boolean(),
      windowManager: z.boolean(),
      terminal: z.boolean(),
      browser: z.boolean(),
    })
    .nullable(),
  /** Configured, and (browser VM) every part of the desktop is visible; (CLI VM) the home folder is unlocked. */
  ready: z.boolean(),
  /** Why applying the configuration failed, if it did. */
  error: ReceivedError.nullable(),
});
export type GuestHealth = z.infer<typeof GuestHealth>;

/** What the guest's wall clock says, Unix epoch milliseconds: any number, for who could set it could set it to anything. */
export const GuestClock = z.object({ epochMs: z.int() });
/** By how much the wall clock is moved on, or (negative) back, in milliseconds. */
export const ClockMove = z.object({ byMs: z.int() });

/**
 * browser: the CLI opens its page in the VM. device_code: the person opens a page on any device and types a code there. callback: the
 * person opens the CLI's page in their own browser, and pastes the address on loopback to which it leads them back.
 */
export const LoginMethod = z.enum(['browser', 'device_code', 'callback']);
export type LoginMethod = z.infer<typeof LoginMethod>;
/** `settings`: put where the CLI looks for them before it starts. */
export const LoginRequest = z.object({
  provider: ProviderId,
  method: LoginMethod.default('browser'),
  settings: LoginSettings.optional(),
});
/** A code that the provider's page showed, typed into the CLI's terminal with Enter; by method callback, the address to open. */
export const LoginInput = z.object({ code: z.string().min(1).max(4096) });

/** Of a login by device code or callback: what is cut would lead nowhere, so it is refused. */
export const DeviceUrl = z.url().max(2048);
export const DeviceCode = z.string().regex(/^[\x20-\x7e]{1,128}$/);

export const LoginStatus = z.object({
  provider: ProviderId.nullable(),
  /**
   * idle: none was started. starting: the CLI runs. browser_opened: it handed its sign-in page to the browser, or
   * (device_code, callback) it shows page and code.
   * succeeded: it ended well and its credential is complete. failed: it ended otherwise.
   */
  state: z.enum(['idle', 'starting', 'browser_opened', 'succeeded', 'failed']),
  /** Host of the page that was opened; never the whole URL. */
  pageHost: receivedText(253).nullable(),
  method: LoginMethod,
  /** Of device_code and callback, once the CLI has shown them. No code: the page ends with one, or with an address, for the CLI. */
  deviceCode: z.object({ url: DeviceUrl, code: DeviceCode.nullable() }).nullable(),
  /** The CLI's terminal would take a pasted code now; by method callback, an address. */
  takesCode: z.boolean(),
  exitCode: z.int().nullable(),
  /** Last lines of the CLI's output, escape sequences and anything that looks like a secret or a URL query removed. */
  lastOutput: receivedText(16_384),
});
export type LoginStatus = z.infer<typeof LoginStatus>;

/** Of a credential: bytes of one file, the same in base64, and files. All of it is one answer: `answerBytes.bundle`. */
export const bundleLimits = { file: 768 * 1024, fileBase64: 1024 * 1024, files: 16 } as const;

const CredentialFile = z.object({
  /** Relative to the home folder, which it never leaves. */
  path: z.string().regex(/^(?!\/)(?!.*(?:^|\/)\.\.?(?:\/|$))[A-Za-z0-9._/-]{1,200}$/),
  /** Octal permission bits, such as 0o600. */
  mode: z.int().min(0).max(0o777),
  contentBase64: z.base64().max(bundleLimits.fileBase64),
});
const bundleOf = <T extends typeof CredentialFile>(file: T) => ({
  provider: ProviderId,
  files: z.array(file).min(1).max(bundleLimits.files),
});
/** The files of one provider's login. */
export const CredentialBundle = z
  .object(bundleOf(CredentialFile))
  .register(largeAnswers, { bytes: answerBytes.bundle });
export type CredentialBundle = z.infer<typeof CredentialBundle>;
/** The same where it is stored: with nothing else in it. */
export const StoredBundle = z.strictObject(bundleOf(CredentialFile.strict()));

const HeldCredential = z.object({
  provider: ProviderId,
  complete: z.boolean(),
  /** Changes with the content; null while it is not complete. */
  fingerprint: z
    .string()
    .regex(/^[\x21-\x7e]{1,1024}$/)
    .nullable(),
  /** What the last finished delivery was numbered; null when none was, or one was cut short. */
  generation: z.int().positive().max(999_999_999).nullable(),
  /** Why what lies in its place cannot be read, with the file's name and never its content; absent when it can, or nothing is there. */
  unreadable: receivedText(1024).optional(),
});
/** Of a provider that a newer agent has. */
const UnknownCredential = z
  .object({
    provider: z
      .string()
      .max(64)
      .refine((id) => !ProviderId.safeParse(id).success, 'not as it should be'),
  })
  .transform(() => null);
/** What credentials this guest holds, of the providers that are known here. */
export const GuestCredentials = z.object({
  credentials: z
    .array(z.union([HeldCredential, UnknownCredential]))
    .max(64)
    .transform((held) => held.filter((credential) => credential !== null)),
});
export type GuestCredentials = z.infer<typeof GuestCredentials>;

/** The check that asks a provider's CLI for its version, and the one that asks for its own word on its login. */
export type VersionName = `version_${ProviderId}`;
export type ProofName = `proof_${ProviderId}`;
export function versionName(provider: ProviderId): VersionName {
  return `version_${provider}`;
}
export function proofName(provider: ProviderId): ProofName {
  return `proof_${provider}`;
}

/**
 * Named checks with a fixed command each; a caller chooses one and passes no argument.
 * node: its version. version_<provider>, proof_<provider>: as above. fetch: `curl` of a host that a sign-in needs, through the
 * egress gateway; the next one's when it does not answer. isolation: DNS, a direct TCP connection, IPv6 and the host's own
 * loopback ports must all be out of reach.
 */
export const checkNames = [
  'node',
  ...providerIds.map(versionName),
  ...providerIds.map(proofName),
  'fetch',
  'isolation',
] as const;
/** Still understood: how agents of protocol 1 know the checks of versions. */
export const formerCheckNames = Object.keys(formerIds) as readonly FormerId[];
export const CheckName = z.enum([...checkNames, ...formerCheckNames]);
export type CheckName = z.infer<typeof CheckName>;

/** The check that is meant by a name. */
export function currentCheckName(name: CheckName): Exclude<CheckName, FormerId> {
  return isFormer(name) ? versionName(formerIds[name]) : name;
}

/** The name by which an agent of this protocol knows a check. */
export function checkNameFor(protocol: number, name: CheckName): CheckName {
  const current = currentCheckName(name);
  if (protocol >= 2) return current;
  return formerCheckNames.find((former) => currentCheckName(former) === current) ?? current;
}

function isFormer(name: CheckName): name is FormerId {
  return (formerCheckNames as readonly string[]).includes(name);
}
export const CheckResult = z
  .object({
    name: CheckName,
    ok: z.boolean(),
    exitCode: z.int().nullable(),
    /** At most 4 KiB of output, without secrets. */
    output: receivedText(4096),
    durationMs: z.number().nonnegative().max(Number.MAX_SAFE_INTEGER),
  })
  .register(named, { id: 'CheckResult' });
export type CheckResult = z.infer<typeof CheckResult>;

export const promptLimits = {
  /** Characters of a prompt. */
  characters: 200_000,
  /** Characters of one chunk of the answer. */
  chunk: 16_384,
  /** Bytes of one answer in all its frames, signs of life included. */
  answerBytes: 64 * 1024 * 1024,
  /** Prompts that one CLI VM runs at a time: each is a CLI of some hundred MiB. */
  atOnce: 4,
} as const;

/** A folder below the home, made when it is not there; the CLI runs in it. */
export const WorkFolder = z.string().regex(/^(?![/-])(?!.*(?:^|\/)\.\.?(?:\/|$))[A-Za-z0-9._/-]{1,200}$/);
export const PromptRequest = z.object({
  provider: ProviderId,
  prompt: z.string().min(1).max(promptLimits.characters),
  timeoutMs: z.int().min(1).max(86_400_000),
  cwd: WorkFolder.default('work'),
  /** Frames with a status are wanted, too. */
  statuses: z.literal(true).optional(),
});
export type PromptRequest = z.infer<typeof PromptRequest>;

/**
 * status: what is done until more of the answer comes, such as a further try, for who asked. chunk: text to append to the answer, free of
 * escape sequences. error: why there is no (whole) answer. exitCode: the CLI's, null when it did not end by itself; always the last.
 */
export const PromptFrame = z.union([
  z.object({ status: receivedText(1024) }),
  z.object({ chunk: receivedText(promptLimits.chunk) }),
  z.object({ error: ReceivedError }),
  z.object({ exitCode: z.int().nullable() }),
]);
export type PromptFrame = z.infer<typeof PromptFrame>;
