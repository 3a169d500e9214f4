/** What an administrator has decided for the helper, as options of its command line. No request can change any of it. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { ProgramName, VmUser } from '@airlock/contract/privileged';

const PosixId = z.int().nonnegative().max(4_294_967_294);

/** Name of a user of /etc/passwd, or UID:GID where users are somewhere else. */
const User = z.string().transform((text, { addIssue }) => {
  const entry = /^\d+:\d+$/.test(text)
    ? `:x:${text}:`
    : readFileSync('/etc/passwd', 'utf8')
        .split('\n')
        .find((line) => line.startsWith(`${text}:`));
  const [uid, gid] = (entry ?? '').split(':').slice(2, 4).map(Number);
  const ids = z.strictObject({ uid: PosixId, gid: PosixId }).safeParse({ uid, gid });
  if (ids.success) return ids.data;
  addIssue(`${text} is no user of /etc/passwd; UID:GID is taken, too`);
  return z.NEVER;
});

/** Absolute, without dots. */
const Folder = z.string().regex(/^(\/[a-z0-9_-][a-z0-9._-]*)+$/i);

/** Absolute, with no `.` and no `..` in it. */
const ProgramPath = z.string().regex(/^(\/(?!\.{1,2}(\/|$))[\w.-]+)+$/);

const Options = z.strictObject({
  /** User and group of the runners: relays run as them, and the sockets are theirs. */
  user: User,
  /** Folder of what is made for VMs: absolute, root's like all above it. Names of sockets below it must stay short. */
  run: Folder.max(48).default('/run/airlock-helper'),
  /** AIRLOCK_HOME of the controller, and the folder in memory that it has for secrets: where the files of VMs are. */
  home: Folder.default('/var/lib/airlock'),
  memory: Folder.default('/run/airlock'),
  /** VMMs that may be started: names of programs in /usr/bin, or absolute paths, comma separated. */
  programs: z
    .string()
    .transform((text) => text.split(',').map((one) => (one.startsWith('/') ? one : `/usr/bin/${one}`)))
    .pipe(z.array(ProgramPath.refine((path) => ProgramName.safeParse(basename(path)).success, 'no name of a program'))),
  /** User ids for VMMs, which belong to nobody else: FIRST-LAST. */
  ids: z
    .string()
    .regex(/^\d{1,10}-\d{1,10}$/)
    .transform((text) => text.split('-').map(Number))
    .pipe(z.tuple([VmUser, VmUser]))
    .refine(([first, last]) => first <= last, 'the first is larger than the last')
    .transform(([first, last]) => ({ first, last }))
    .default({ first: 2_000_000_000, last: 2_000_000_999 }),
  /** Socket to listen on, for hosts without systemd. */
  socket: z.string().startsWith('/').max(100).optional(),
});
export type HelperConfig = Omit<z.infer<typeof Options>, 'user'> & z.infer<typeof User>;

/** @throws AppError config_invalid naming each option that is wrong */
export function readConfig(args: readonly string[]): { command: string; config: HelperConfig } {
  const options = Object.fromEntries(Object.keys(Options.shape).map((name) => [name, { type: 'string' as const }]));
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const [command = '', ...more] = positionals;
    if (more.length > 0) throw new Error(`unknown: ${more.join(' ')}`);
    const { user, ...config } = Options.parse({ ...values });
    return { command, config: { ...user, ...config } };
  } catch (error) {
    const problems =
      error instanceof z.ZodError
        ? error.issues.map((issue) => `--${issue.path.join('.')}: ${issue.message}`)
        : [(error as Error).message];
    throw new AppError('config_invalid', `Wrong options of the privileged helper: ${problems.join('; ')}.`, {
      hint: 'airlock-privileged-helper --help lists them.',
      cause: error,
    });
  }
}
