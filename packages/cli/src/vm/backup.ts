/** `airlock vm backup|restore`: the home of a CLI VM as a file, and a CLI VM out of one. */
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { proveFor, withApi } from '../lib/api.js';
import { confirm } from '../lib/confirm.js';
import { mebibytes, note, print, printJson } from '../lib/output.js';
import { readPassphrase } from '../lib/secret-input.js';
import { untilInterrupted } from '../lib/signals.js';
import { inMib } from './progress.js';

interface PassphraseFlags {
  passphraseFile?: string;
}
interface BackupFlags extends PassphraseFlags {
  now?: boolean;
  force?: boolean;
}
interface RestoreFlags extends PassphraseFlags {
  user?: string;
  replace?: boolean;
  yes?: boolean;
  json?: boolean;
}

/** Milliseconds for a VM to be stopped, after a start and its queue; for a copy of an image; and for a long hole in a disk. */
const slowMs = 600_000;
const passphraseOption = [
  '--passphrase-file <path>',
  'read the passphrase from this file; else it is typed, or piped',
] as const;

/** `pathOf`: the path of a VM in the API. @throws AppError invalid_request for what is no id */
export function addBackup(vm: Command, pathOf: (id: string) => string): void {
  vm.command('backup <vm-id> <file>')
    .description('Write the home of a CLI VM to a file, sealed under a passphrase. The VM is stopped for it.')
    .option('--now', 'do not wait for what uses the VM: end it')
    .option('--force', 'replace the file if there is one')
    .option(...passphraseOption)
    .addHelpText(
      'after',
      `
The file is one of age (\`age -d\` opens it). A VM that ran is started again afterwards.

Example:
  airlock vm backup vm_0123456789abcdef ada.home.age`,
    )
    .action((id: string, file: string, flags: BackupFlags) => backup(`${pathOf(id)}/backup`, id, file, flags));
  vm.command('restore <file>')
    .description('Make a CLI VM with the home of a backup and a fresh root; it stands still until its next use.')
    .option('--user <name>', 'whose it becomes (administrators); by default of the user whom the backup names')
    .option('--replace', 'destroy the CLI VM that this user has, once all of the backup is there: asks first')
    .option('--yes', 'do not ask')
    .option(...passphraseOption)
    .option('--json', 'print the VM as JSON')
    .addHelpText('after', '\nExample:\n  airlock vm restore ada.home.age')
    .action(restore);
}

async function backup(
  path: string,
  id: string,
  file: string,
  { now = false, force = false, passphraseFile }: BackupFlags,
): Promise<void> {
  await requireFree(file, force);
  const passphrase = await readPassphrase(passphraseFile, true);
  const bytes = await untilInterrupted((signal) =>
    withApi((api) =>
      writeWhole(file, force, async () => {
        const body = { passphrase, now, keyProof: await proveFor(api, `POST ${path}`) };
        note(`${id} is being stopped …`);
        return api.bytes('POST', path, { body, signal, timeoutMs: slowMs });
      }),
    ),
  );
  print(`${file}: ${mebibytes(bytes / 1024 ** 2)}`);
}

/** @throws AppError invalid_request */
async function requireFree(file: string, force: boolean): Promise<void> {
  if (force || (await stat(file).catch(nullIfAbsent)) === null) return;
  throw new AppError('invalid_request', `${file} is there already.`, { hint: '`--force` replaces it.' });
}

/** Under its name only when whole; nothing is left of a part. What cannot be written is not even asked for. Answers its bytes. */
async function writeWhole(file: string, force: boolean, ask: () => Promise<AsyncIterable<Buffer>>): Promise<number> {
  const partial = `${file}.partial`;
  try {
    await rm(partial, { force: true });
    const target = await open(partial, 'wx', 0o600);
    const bytes = await writeAll(target, ask);
    await requireFree(file, force);
    await rename(partial, file);
    return bytes;
  } catch (error) {
    await rm(partial, { force: true });
    throw ofFile(error, `${partial} cannot be written`);
  }
}

/** An error of the file system, as one that tells a person what was tried. */
function ofFile(error: unknown, what: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof AppError || code === undefined) return error;
  return new AppError(code === 'ENOSPC' ? 'disk_full' : 'invalid_request', `${what}: ${message}.`, { cause: error });
}

async function writeAll(target: FileHandle, ask: () => Promise<AsyncIterable<Buffer>>): Promise<number> {
  let bytes = 0;
  try {
    for await (const piece of inMib(await ask())) {
      await target.writeFile(piece);
      bytes += piece.length;
    }
    await target.sync();
    return bytes;
  } finally {
    await target.close();
  }
}

async function restore(
  file: string,
  { user, replace = false, yes = false, passphraseFile, json }: RestoreFlags,
): Promise<void> {
  // Before anybody types anything.
  await requireReadable(file);
  if (replace && !yes) await ask(user, file);
  const passphrase = await readPassphrase(passphraseFile, false);
  const vm = await untilInterrupted((signal) =>
    withApi(async (api) => {
      const keyProof = await proveFor(api, 'POST /api/vm/restore');
      const line = `${JSON.stringify({ passphrase, ...(user !== undefined && { user }), replace, keyProof })}\n`;
      const upload = Readable.from(contentOf(line, file), { objectMode: false });
      return api.call('POST', '/api/vm/restore', Vm, { upload, signal, timeoutMs: slowMs });
    }),
  );
  if (json === true) printJson(vm);
  else print(`${vm.id} ${vm.state}`);
}

/** @throws AppError invalid_request */
async function requireReadable(file: string): Promise<void> {
  try {
    await (await open(file, 'r')).close();
  } catch (error) {
    throw ofFile(error, `${file} cannot be read`);
  }
}

async function* contentOf(line: string, file: string): AsyncGenerator<Buffer, void> {
  yield Buffer.from(line);
  yield* inMib(createReadStream(file, { highWaterMark: 256 * 1024 }));
}

/** @throws AppError as `confirm` */
const ask = (user: string | undefined, file: string): Promise<void> =>
  confirm({
    about: `The CLI VM of ${user ?? 'the user whom the backup names'}, if there is one, is destroyed, with all files in its home.`,
    question: 'Replace it?',
    hint: `\`airlock vm restore ${file} --replace --yes\` does it without a question.`,
  });
