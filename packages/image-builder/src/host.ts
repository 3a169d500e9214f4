/** Whether this host can build an image; every problem at once, each with what to do. */
import type { StatsFs } from 'node:fs';
import { access, constants, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { imageBuildMib } from '@airlock/contract/capacity';
import { AppError } from '@airlock/contract/errors';
import { isRoot, searchPath, workRoot } from './workspace.js';

/** Program → Debian package that brings it. */
const tools: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  'mkfs.ext4': 'e2fsprogs',
  dumpe2fs: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  zstd: 'zstd',
  tar: 'tar',
  npm: 'npm',
  'apt-config': 'apt',
  ...(!isRoot && { newuidmap: 'uidmap' }),
};

const vmTools: typeof tools = { 'qemu-system-x86_64': 'qemu-system-x86', nc: 'netcat-openbsd' };

async function isOnPath(program: string): Promise<boolean> {
  const tries = searchPath.split(':').map((folder) =>
    access(join(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    ),
  );
  return (await Promise.all(tries)).includes(true);
}

/** `vm`: the image will also be started. @throws AppError host_unsupported naming the Debian packages to install. */
export async function checkTools(vm: boolean): Promise<void> {
  if (process.arch !== 'x64') {
    throw new AppError('host_unsupported', `This host is ${process.arch}; golden images are made for x64 only.`);
  }
  const missing: string[] = [];
  const needed = Object.entries({ ...tools, ...(vm && vmTools) });
  for (const [program] of needed) if (!(await isOnPath(program))) missing.push(program);
  if (missing.length === 0) return;
  const packages = [...new Set(needed.filter(([program]) => missing.includes(program)).map((entry) => entry[1]))].join(
    ' ',
  );
  throw new AppError('host_unsupported', `Programs that build the image are missing: ${missing.join(', ')}.`, {
    hint: `Install them: apt-get install ${packages}`,
  });
}

const mib = 1024 * 1024;

const freeMib = ({ bavail, bsize }: StatsFs): number => Math.floor((bavail * bsize) / mib);
const roomHint = 'Make room, or set AIRLOCK_HOME to a larger disk.';

/** @throws AppError disk_full when the work folder and the images folder have not enough room for one build. */
export async function checkSpace(workFolder: string, imagesFolder: string): Promise<void> {
  const [work, images] = await Promise.all([statfs(workFolder), statfs(imagesFolder)]);
  const { work: workMib, images: imagesMib } = imageBuildMib;
  // Equal figures on the same kind of file system: taken for the same disk, which has to hold both.
  const same = work.type === images.type && work.blocks === images.blocks && work.bfree === images.bfree;
  const wanted: [string, number, number][] = same
    ? [[`${workFolder} and ${imagesFolder}`, freeMib(work), workMib + imagesMib]]
    : [
        [workFolder, freeMib(work), workMib],
        [imagesFolder, freeMib(images), imagesMib],
      ];
  const short = wanted.filter(([, has, needs]) => has < needs);
  if (short.length === 0) return;
  const lines = short.map(([where, has, needs]) => `${where}: ${needs} MiB needed, ${has} MiB free`);
  throw new AppError('disk_full', `There is not enough room to build an image (${lines.join('; ')}).`, {
    hint: roomHint,
  });
}

/**
 * What a failed build is told as: disk_full, naming the folders that have no room left, when that is why it failed; otherwise
 * the error itself. To be asked before anything is removed.
 */
export async function explainFailure(failure: unknown, folders: readonly string[]): Promise<unknown> {
  const { message, details, cause } = AppError.inItsWords(failure);
  const words = [message, details?.['lastOutput'], cause instanceof Error ? cause.message : ''].join('\n');
  if (!/No space left on device|ENOSPC|Disk quota exceeded|EDQUOT/.test(words)) return failure;
  const free = await Promise.all(folders.map(async (folder) => ({ folder, mib: freeMib(await statfs(folder)) })));
  const least = Math.min(...free.map((one) => one.mib));
  // What failed has been removed again by some programs, so "full" is what has least.
  const full = free.filter((one) => one.mib < least + 64).map((one) => `${one.folder}: ${one.mib} MiB free`);
  const { work: workMib, images: imagesMib } = imageBuildMib;
  return new AppError('disk_full', `The disk became full while the image was made (${full.join('; ')}).`, {
    hint: `A build needs ${workMib} MiB in ${workRoot} and ${imagesMib} MiB for images. ${roomHint}`,
    details: { lastOutput: words.trim().split('\n').slice(-3).join('\n') },
    cause: failure,
  });
}
