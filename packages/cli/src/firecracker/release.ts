/** Brings a release of Firecracker: fetched or given as a file, compared with its sum, and of all that is in it two programs. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EnvHttpProxyAgent, fetch } from 'undici';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { run } from '@airlock/contract/process';

/** The one place to change the version: address and SHA-256 belong together. */
export const newestRelease = {
  url: 'https://github.com/firecracker-microvm/firecracker/releases/download/v1.16.1/firecracker-v1.16.1-x86_64.tgz',
  sha256: '382a02a869e4d6d5cb14c40577f9545e8458021ea8b0b2d3fc10ec14d9c242e6',
} as const;

export const installedPrograms = ['firecracker', 'jailer'] as const;

export interface Source {
  /** An https URL, or the absolute path of a file. */
  from: string;
  /** Lower-case hex. */
  sha256: string;
}

export interface InstallOptions extends Source {
  /** Where the programs are put, beside what is there. */
  folder: string;
  note: (line: string) => void;
  signal: AbortSignal;
  limits?: Limits;
}

/** Bytes and milliseconds. */
export interface Limits {
  archive: number;
  program: number;
  total: number;
}
/** A release has some 40 MiB, its programs some 3 MiB each. */
const usualLimits: Limits = { archive: 256 * 1024 ** 2, program: 64 * 1024 ** 2, total: 30 * 60_000 };
/** Between two lines of progress. */
const progressBytes = 8 * 1024 ** 2;
/** For listing an archive, or taking one program out of it: milliseconds. */
const unpackMs = 120_000;

/**
 * Puts both programs into the folder, in one step each, and answers their version.
 * @throws AppError install_failed, not_writable, aborted: nothing is left, and what was there before stays
 */
export async function installRelease(options: InstallOptions): Promise<string> {
  const { folder, limits = usualLimits } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(limits.total)]);
  const work = await makeWorkFolder(folder, limits.total);
  try {
    const archive = join(work, 'release.tgz');
    await fetchArchive({ ...options, signal }, archive, limits.archive);
    const members = await findMembers(archive, signal);
    for (const program of installedPrograms) {
      await takeOut({ archive, member: members[program], to: join(work, program), limit: limits.program }, signal);
    }
    const version = await versionOf(join(work, installedPrograms[0]));
    for (const program of installedPrograms) await rename(join(work, program), join(folder, program));
    return version;
  } catch (error) {
    if (options.signal.aborted) throw new AppError('aborted', 'The installation was cancelled.', { cause: error });
    throw error instanceof AppError ? error : failed(`The release cannot be taken: ${(error as Error).message}`, error);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const failed = (message: string, cause?: unknown): AppError =>
  new AppError('install_failed', message, {
    hint: 'Nothing of it was used. A file that was fetched by other means is taken by --from FILE; its sum by --sha256 SUM.',
    cause,
  });

const workFolder = '.install-';

/** In the folder itself, so that the last step is a rename: nobody else can look into it. What one that was killed has left goes first. */
async function makeWorkFolder(folder: string, totalMs: number): Promise<string> {
  try {
    if ((await mkdir(folder, { recursive: true })) !== undefined) await chmod(folder, 0o755);
    for (const name of await readdir(folder)) {
      if (!name.startsWith(workFolder)) continue;
      const made = await stat(join(folder, name)).catch(nullIfAbsent);
      // A younger one may be another installation, which runs.
      if (made !== null && made.mtimeMs < Date.now() - totalMs) await rm(join(folder, name), { recursive: true });
    }
    return await mkdtemp(join(folder, workFolder));
  } catch (cause) {
    throw new AppError('not_writable', `${folder} cannot be written to: ${(cause as Error).message}`, {
      hint: 'What the privileged helper runs belongs to root: run this as root.',
      cause,
    });
  }
}

async function fetchArchive(options: InstallOptions, to: string, limit: number): Promise<void> {
  const { from, sha256, note, signal } = options;
  const sum = createHash('sha256');
  let bytes = 0;
  const watched = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const before = bytes;
      bytes += chunk.length;
      if (bytes > limit) return done(failed(`${from} is larger than ${limit} bytes, and no release of Firecracker.`));
      if (Math.floor(bytes / progressBytes) > Math.floor(before / progressBytes))
        note(`${Math.floor(bytes / 1024 ** 2)} MiB`);
      sum.update(chunk);
      done(null, chunk);
    },
  });
  note(`Taking ${from}`);
  await pipeline(await openSource(from, signal), watched, createWriteStream(to, { flags: 'wx', mode: 0o600 }), {
    signal,
  });
  const found = sum.digest('hex');
  if (found !== sha256) throw failed(`${from} is not the expected file: SHA-256 ${found}, not ${sha256}.`);
}

async function openSource(from: string, signal: AbortSignal): Promise<Readable> {
  if (!/^https?:/.test(from)) return createReadStream(from);
  const answer = await fetch(from, { dispatcher: new EnvHttpProxyAgent(), signal }).catch((cause: Error) => {
    const why = cause.cause instanceof Error ? cause.cause.message : cause.message;
    throw failed(`${from} cannot be fetched: ${why}.`, cause);
  });
  if (!answer.ok || answer.body === null) throw failed(`${from} cannot be fetched: HTTP ${answer.status}.`);
  return Readable.fromWeb(answer.body);
}

type Members = Record<(typeof installedPrograms)[number], string>;

/** As a release names them; both of one version. Whatever else is there is never unpacked. */
async function findMembers(archive: string, signal: AbortSignal): Promise<Members> {
  const args = ['--list', '--gzip', '--quoting-style=escape', '--file', archive];
  const { stdout } = await run('tar', args, { timeoutMs: unpackMs, signal }).catch((cause: unknown) => {
    throw failed(`The archive cannot be read: ${AppError.inItsWords(cause).message}`, cause);
  });
  const names = stdout.split('\n');
  const version = names.map((name) => /^release-(v\d+\.\d+\.\d+)-x86_64\/firecracker-\1-x86_64$/.exec(name)?.[1]);
  const [found] = version.filter((one) => one !== undefined);
  const nameOf = (program: string): string => `release-${found}-x86_64/${program}-${found}-x86_64`;
  const members = { firecracker: nameOf('firecracker'), jailer: nameOf('jailer') };
  for (const member of Object.values(members)) {
    const count = names.filter((name) => name === member).length;
    if (found === undefined || count !== 1)
      throw failed(`The archive has no firecracker and jailer of one version in it.`);
  }
  return members;
}

interface Taking {
  archive: string;
  member: string;
  to: string;
  limit: number;
}

/** Its content goes through a pipe: nothing in the archive names a place on this host, and a link has no content. */
async function takeOut({ archive, member, to, limit }: Taking, over: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([over, AbortSignal.timeout(unpackMs)]);
  const args = ['--extract', '--gzip', '--to-stdout', '--file', archive, '--', member];
  const child = spawn('tar', args, { stdio: ['ignore', 'pipe', 'ignore'], signal });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  // Judged below, after what was written.
  ended.catch(() => undefined);
  let bytes = 0;
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(
        bytes > limit ? failed(`${member} is larger than ${limit} bytes, and no program of Firecracker.`) : null,
        chunk,
      );
    },
  });
  try {
    await pipeline(child.stdout, bounded, createWriteStream(to, { flags: 'wx', mode: 0o600 }), { signal });
    if ((await ended) !== 0) throw failed(`${member} cannot be unpacked.`);
  } finally {
    child.kill('SIGKILL');
  }
  await requireProgram(member, to);
  await chmod(to, 0o755);
}

/** 64-bit ELF: a link, a script or a text is none. */
async function requireProgram(member: string, path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(5), 0, 5, 0);
    if (buffer.toString('latin1') === '\x7fELF\x02') return;
  } finally {
    await file.close();
  }
  throw failed(`${member} is no program of Linux.`);
}

async function versionOf(path: string): Promise<string> {
  const { stdout } = await run(path, ['--version'], { timeoutMs: 10_000, cwd: dirname(path) }).catch(
    (cause: unknown) => {
      throw failed(`The program does not start: ${AppError.inItsWords(cause).message}`, cause);
    },
  );
  const version = /^Firecracker v(\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  if (version === undefined) throw failed('The program does not tell the version of a Firecracker.');
  return version;
}
