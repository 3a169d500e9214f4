/** The build lock of an images folder: it names the process that builds and the folders that are its to fill. */
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { imagesPaths } from '@airlock/contract/home';
import { identifyProcess, isRunning } from '@airlock/contract/process';
import { ProcessIdentity } from '@airlock/contract/runner';

const LockRecord = z.strictObject({
  builder: ProcessIdentity,
  /** Absolute paths of folders that are removed when this build ends, however it ends. */
  folders: z.array(z.string()),
});
type LockRecord = z.infer<typeof LockRecord>;

/**
 * Takes the lock for this process. A lock whose builder is dead is taken over, after `removeFolder` has removed what it left.
 * @returns releases the lock.
 * @throws AppError image_build_failed while another build is running.
 */
export async function takeBuildLock(
  imagesFolder: string,
  folders: string[],
  removeFolder: (path: string) => Promise<void>,
): Promise<() => Promise<void>> {
  await mkdir(imagesFolder, { recursive: true });
  const path = imagesPaths(imagesFolder).buildLock;
  const builder = await identifyProcess(process.pid);
  if (!builder) throw new AppError('internal', `Process ${process.pid} finds no entry of itself in /proc.`);
  const own = JSON.stringify({ builder, folders } satisfies LockRecord);
  const draft = `${path}.${process.pid}`;
  try {
    await writeFile(draft, own, { mode: 0o600 });
    while (!(await linkNew(draft, path))) await removeDeadLock(path, removeFolder);
  } finally {
    await rm(draft, { force: true });
  }
  return async () => {
    if ((await readFile(path, 'utf8').catch(() => '')) === own) await rm(path);
  };
}

/** A hard link appears with its whole content or not at all. False when `path` exists. */
async function linkNew(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function removeDeadLock(path: string, removeFolder: (path: string) => Promise<void>): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return;
  const record = parseRecord(text);
  if (record && (await isRunning(record.builder))) {
    throw new AppError('image_build_failed', `Process ${record.builder.pid} is already building an image here.`, {
      hint: 'Wait until it has finished, then run the command again.',
    });
  }
  for (const folder of record?.folders ?? []) await removeFolder(folder);
  // Renamed first: of two processes that found the same dead lock, only one gets it. The other may then hold the first
  // one's new lock in its hands, and puts it back.
  const dead = `${path}.dead.${process.pid}`;
  await rename(path, dead).catch(ignore('ENOENT'));
  if ((await readFile(dead, 'utf8').catch(ignore('ENOENT'))) !== text) await link(dead, path).catch(ignore('ENOENT'));
  await rm(dead, { force: true });
}

const ignore =
  (code: string) =>
  (error: NodeJS.ErrnoException): void => {
    if (error.code !== code) throw error;
  };

function parseRecord(text: string): LockRecord | null {
  try {
    return LockRecord.parse(JSON.parse(text));
  } catch (error) {
    // Only this program writes locks; one that it cannot read comes from another version and no longer means anything.
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}
