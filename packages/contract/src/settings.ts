/** Every setting of Airlock: environment variables, read once, all problems reported together. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { AppError } from './errors.js';
import { defaultHome } from './home.js';
import { helperSocket } from './privileged.js';
import { DirectHost } from './runner.js';
import { whyNoTimeZone } from './time-zone.js';
import { whyNoUpstream } from './upstream.js';

const seconds = (fallback: number, max = 86_400) => z.coerce.number().int().min(1).max(max).default(fallback);
const quota = (fallback: number) => z.coerce.number().int().min(1).max(10_000).default(fallback);
/** Targets are compared as a parser of URLs reads them: 0x7f.1 would stand for none. */
const isAsRead = (host: string): boolean => {
  const url = `http://${host.replace(/^\./, '')}`;
  return URL.canParse(url) && url === `http://${new URL(url).hostname}`;
};
const hostList = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((host) => host.trim().toLowerCase())
      .filter(Boolean),
  )
  .pipe(z.array(DirectHost.refine(isAsRead, 'a host name, or an IPv4 address as four numbers')));

/** Addresses and networks such as 10.0.0.0/8, comma separated. */
const networkList = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((network) => network.trim())
      .filter(Boolean),
  )
  .pipe(z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'addresses or networks, such as 10.0.0.0/8')));

/**
 * Every path of a setting. No shell stands between a file of settings and this: `~` is the home folder of whoever runs the program, and
 * what else only a shell, systemd or a browser would read would be the name of a folder here.
 */
const path = z
  .string()
  .regex(
    /^(?!~[^/]|[$%"'\s]|file:)[^\p{Cc}]*[^\p{Cc}\s]$/iu,
    'a path; before it ~/ alone means a home folder, that of the user who runs this; no variable, quote or blank',
  )
  .transform((text) => resolve(text.replace(/^~(?=\/|$)/, () => homedir())));

const portOf = (upstream: string, port: number): string => upstream.replace('{port}', String(port));

/** No path, query, fragment or user name. */
const isOrigin = (url: string): boolean => URL.canParse(url) && `${new URL(url).origin}/` === new URL(url).href;

/** One entry a setting: schema and the sentence that `airlock config` prints. */
export const settingDefinitions = {
  AIRLOCK_HOME: {
    schema: path.default(defaultHome()),
    about: 'Folder that holds all state: token, vault key, database, images, VMs.',
  },
  AIRLOCK_VAULT_KEY_FILE: {
    schema: z.string().regex(/^[/~]/, 'an absolute path').pipe(path).optional(),
    about:
      'File of the vault key, when it is to lie apart from AIRLOCK_HOME; also one of systemd’s credentials. Absent: vault.key there.',
  },
  AIRLOCK_HOST: { schema: z.string().min(1).default('127.0.0.1'), about: 'Address to listen on.' },
  AIRLOCK_PORT: {
    schema: z.coerce.number().int().min(0).max(65535).default(4000),
    about: 'Port to listen on; 0 chooses a free one.',
  },
  AIRLOCK_PUBLIC_URL: {
    schema: z
      .url({ protocol: /^https?$/ })
      .refine(isOrigin, 'scheme, host and port alone: Airlock is at the root of its own name, under no path')
      .transform((url) => new URL(url).origin)
      .optional(),
    about:
      'URL at which people reach the controller, when a reverse proxy stands before it: https://NAME, without a path.',
  },
  AIRLOCK_TRUSTED_PROXIES: {
    schema: networkList,
    about:
      'Addresses or networks of reverse proxies before the controller, comma separated. Of them alone X-Forwarded-For is believed; each must set it, or add to it, itself.',
  },
  AIRLOCK_USER_VMS: {
    schema: quota(8),
    about: 'Browser VMs that a user may have at a time; beside them everybody has one CLI VM.',
  },
  AIRLOCK_USER_SIGN_INS: { schema: quota(30), about: 'Sign-ins that a user may start within an hour.' },
  AIRLOCK_USER_STREAMS: {
    schema: quota(20),
    about:
      'Event streams of sign-ins that a user may follow at a time: each tab of the page that shows one has its own.',
  },
  AIRLOCK_USER_VIEWERS: { schema: quota(8), about: 'Views of desktops that a user may have open at a time.' },
  AIRLOCK_MAX_CONNECTIONS: {
    schema: z.coerce.number().int().min(20).max(100_000).default(2000),
    about:
      'Connections that the controller holds at a time, viewers among them. The last tenth is kept free: for it those go that do nothing. A twentieth may rest for one user.',
  },
  AIRLOCK_UPSTREAM_PROXY: {
    schema: z
      .string()
      .superRefine((text, { addIssue }) => {
        const problem = whyNoUpstream(portOf(text, 65_535));
        if (problem !== null) addIssue(problem);
      })
      .optional(),
    secret: true,
    about:
      "Upstream HTTP proxy, http://USER:PASS@HOST:{port}; {port} becomes the user's own port. Absent: VMs go out directly through the egress gateway.",
  },
  AIRLOCK_PROXY_PORT_BASE: {
    schema: z.coerce.number().int().min(1).max(65535).default(10001),
    about: "First user's port at the upstream proxy; each further user gets the next one.",
  },
  AIRLOCK_DIRECT_HOSTS: {
    schema: hostList,
    about: 'Hosts (or .suffixes), comma separated, that go out directly even with an upstream proxy.',
  },
  AIRLOCK_ALLOWED_PRIVATE_HOSTS: {
    schema: hostList,
    about:
      'Hosts (or .suffixes), comma separated, that VMs may reach although their names or addresses are those of a private network, such as a company’s sign-on.',
  },
  AIRLOCK_EXTRA_CA: {
    schema: path.optional(),
    about:
      'PEM file with certificate authorities that VMs trust besides the public ones. Only its certificates reach them.',
  },
  AIRLOCK_EXIT_URL: {
    schema: z
      .url({ protocol: /^https?$/ })
      .refine((url) => !/[#@]/.test(url), 'without user name and fragment')
      .optional(),
    about:
      'URL that answers whoever asks with their address, as text or as JSON with a member ip: `airlock doctor --network` shows with it where each user comes out. Absent: nobody is asked.',
  },
  AIRLOCK_SECRETS_ON_DISK: {
    schema: z.enum(['yes', 'no']).default('no'),
    about:
      'yes: where there is no folder in memory (/dev/shm), the secrets of running VMs may lie on the disk, below AIRLOCK_HOME. Otherwise no VM is started there.',
  },
  AIRLOCK_ACCEL: {
    schema: z.enum(['auto', 'kvm', 'tcg']).default('auto'),
    about: 'Virtualisation: auto takes what is faster on this host, KVM or software emulation (tcg).',
  },
  AIRLOCK_VMM: {
    schema: z.enum(['auto', 'firecracker', 'qemu']).default('auto'),
    about:
      'Program that VMs run in: auto takes Firecracker where `airlock firecracker gate` has booted the current image on this host, and QEMU elsewhere. A CLI VM whose root does not know the one asked for keeps the other.',
  },
  AIRLOCK_NETWORK: {
    schema: z.enum(['auto', 'netns', 'user']).default('auto'),
    about:
      'Network of VMs: netns is a namespace for each, in which its VMM is locked up, made by the privileged helper; user is the VMM’s own; auto takes netns where the helper answers.',
  },
  AIRLOCK_HELPER_SOCKET: {
    schema: z.string().startsWith('/', 'an absolute path').max(100).default(helperSocket),
    about: 'Where the privileged helper listens: another place where the host has more than one Airlock.',
  },
  AIRLOCK_VM_CPUS: { schema: z.coerce.number().int().min(1).max(16).default(2), about: 'Virtual CPUs of a VM.' },
  AIRLOCK_VM_MEMORY_MIB: {
    schema: z.coerce.number().int().min(2048).max(65536).default(2048),
    about: 'Memory of a VM in MiB; 2048 is the least that carries a browser.',
  },
  AIRLOCK_POOL: {
    schema: z.coerce.number().int().min(0).max(64).default(0),
    about:
      'Browser VMs that are ready before anybody comes, stopped until they are given to a sign-in. Each holds the memory of a VM. 0: none, and each sign-in waits for a boot.',
  },
  AIRLOCK_BOOT_TIMEOUT_S: {
    schema: z.coerce.number().int().min(1).max(3600).optional(),
    about:
      'Seconds a VM has from power-on until it must be ready. Absent: by the measured speed of guests on this host, 60 to 1800, and up to twice that for a VM that still gets on.',
  },
  AIRLOCK_SIGN_IN_TIMEOUT_S: { schema: seconds(300, 7200), about: 'Seconds a person has to sign in.' },
  AIRLOCK_DESTROY_AFTER_S: {
    schema: seconds(1800),
    about: 'Seconds after completion until the browser VM is destroyed.',
  },
  AIRLOCK_CLI_IDLE_S: {
    schema: seconds(900, 30 * 86_400),
    about: 'Seconds without use after which a CLI VM is stopped; its disks stay, and the next use starts it again.',
  },
  AIRLOCK_HOME_DISK_GIB: {
    schema: z.coerce.number().int().min(1).max(4096).default(4),
    about:
      'GiB that the home of a CLI VM may grow to. A home that was made smaller grows at the next start of its VM; none ever shrinks.',
  },
  AIRLOCK_CLI_UPDATE: {
    schema: z.enum(['idle', 'manual']).default('idle'),
    about:
      'When CLI VMs get the root of a newer image: idle, one after the other while they are stopped, or manual, by `airlock vm update` and the page alone.',
  },
  AIRLOCK_KEEP_DAYS: {
    schema: z.coerce.number().int().min(1).max(3650).default(30),
    about:
      'Days for which the record of what has ended is kept: sessions, VMs, and the logs of VMs. Credentials and CLI VMs stay until somebody removes them.',
  },
  AIRLOCK_PROMPT_TIMEOUT_S: {
    schema: seconds(1800),
    about: 'Seconds that one prompt may take, the start of the CLI VM not counted.',
  },
  AIRLOCK_CREDENTIAL_POLL_S: {
    schema: seconds(5, 3600),
    about: 'Seconds between two looks into a running CLI VM for a credential that its CLI has refreshed.',
  },
  AIRLOCK_HEALTH_INTERVAL_S: {
    schema: seconds(3600, 7 * 86_400),
    about: 'Seconds after which a credential is checked again with its CLI, while the CLI VM runs anyway.',
  },
  AIRLOCK_HEALTH_MAX_AGE_S: {
    schema: seconds(7 * 86_400, 365 * 86_400),
    about: 'Seconds without a check after which a stopped CLI VM is started for one; it stops when it is idle.',
  },
  AIRLOCK_TIMEZONE: {
    schema: z
      .string()
      .superRefine((name, { addIssue }) => {
        const problem = whyNoTimeZone(name);
        if (problem !== null) addIssue(problem);
      })
      .default('Etc/UTC'),
    about: 'Time zone inside VMs, by its present name (America/New_York, not US/Eastern).',
  },
  AIRLOCK_LOG_LEVEL: {
    schema: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    about: 'Least level that is logged.',
  },
  DATABASE_URL: {
    schema: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    secret: true,
    about: 'PostgreSQL to use instead of the embedded database.',
  },
  AIRLOCK_DB_SCHEMA: {
    schema: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'lower-case letters, digits and _, at most 63, not a digit first')
      .refine(
        (name) => !/^(pg_|information_schema$|public$|drizzle$)/.test(name),
        'a schema of its own: not public, drizzle, information_schema or pg_…',
      )
      .default('airlock'),
    about:
      'Schema of the database that holds all tables of Airlock; made when it is missing. It begins empty, unless the database has tables of a version before this setting: the first schema that is started takes them over.',
  },
} as const satisfies Record<string, { schema: z.ZodType; about: string; secret?: boolean }>;

type Definitions = typeof settingDefinitions;
export type SettingName = keyof Definitions;
/** Parsed settings; names are those of the environment variables. */
export type Settings = { readonly [K in SettingName]: z.output<Definitions[K]['schema']> };

/**
 * Reads all settings. An empty variable counts as absent.
 * @throws AppError config_invalid listing every problem, also misspelled `AIRLOCK_` names; never a value of a secret one.
 */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const problems: string[] = [];
  const entries = Object.entries(settingDefinitions).map(([name, { schema }]) => {
    const parsed = schema.safeParse(env[name] === '' ? undefined : env[name]);
    if (parsed.success) return [name, parsed.data] as const;
    problems.push(`${name}: ${parsed.error.issues.map((issue) => issue.message).join('; ')}`);
    return [name, undefined] as const;
  });
  for (const name of Object.keys(env)) {
    if (name.startsWith('AIRLOCK_') && !(name in settingDefinitions))
      problems.push(`${name}: no setting has this name`);
  }
  const settings = Object.fromEntries(entries) as Settings;
  if (settings.AIRLOCK_HOME && Buffer.byteLength(settings.AIRLOCK_HOME) > 70) {
    problems.push(
      `AIRLOCK_HOME: ${settings.AIRLOCK_HOME} is longer than 70 bytes, too long for the unix sockets below it (the kernel allows 107 in all)`,
    );
  }
  if (problems.length > 0) {
    throw new AppError('config_invalid', `Wrong settings:\n${problems.map((p) => `  ${p}`).join('\n')}`, {
      hint: '`npx airlock config` lists every setting with its meaning.',
    });
  }
  return settings;
}

/** A setting's value as text; a secret one is only ever `set` or `not set`. */
export function shownSetting(name: SettingName, value: unknown): string {
  if ('secret' in settingDefinitions[name]) return value === undefined ? 'not set' : 'set';
  const text = Array.isArray(value) ? value.join(',') : String(value ?? '');
  return text === '' ? '(none)' : text;
}

/** Every setting in force, as `shownSetting`. */
export const shownSettings = (settings: Settings): Record<SettingName, string> =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, shownSetting(name as SettingName, value)]),
  ) as Record<SettingName, string>;

/** The upstream proxy URL of the user who has `port`, or null when none is configured. */
export function upstreamUrlFor(settings: Settings, port: number): string | null {
  const { AIRLOCK_UPSTREAM_PROXY: upstream } = settings;
  return upstream === undefined ? null : portOf(upstream, port);
}
