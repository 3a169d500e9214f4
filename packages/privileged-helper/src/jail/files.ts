/**
 * The files that a VMM may open, as descriptors: found by what they are and never by a path of somebody else's. A link in the place of
 * one, or a file that does not belong to the runners' user, is refused: root opens nothing for them that they could not open themselves.
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { imageFiles } from '@airlock/contract/image';
import { secretFolderOf } from '@airlock/contract/memory-folder';
import type { JailFile } from '@airlock/contract/privileged';
import { rootFile } from '@airlock/contract/runner';
import type { HelperConfig } from '../config.js';

/** A file that is open, and where it was found. */
export interface OwnFile {
  file: JailFile;
  path: string;
  handle: FileHandle;
  write: boolean;
}

/** Opens all, in order. @throws AppError vmm_failed, invalid_request: none is open then */
export async function openFiles(config: HelperConfig, vmId: string, files: readonly JailFile[]): Promise<OwnFile[]> {
  const opened: OwnFile[] = [];
  try {
    for (const file of files) {
      const [path, write] = [pathOf(config, vmId, file), writable(file)];
      opened.push({ file, path, write, handle: await openOwn(config.uid, path, write) });
    }
    return opened;
  } catch (error) {
    await Promise.all(opened.map(({ handle }) => handle.close()));
    throw error;
  }
}

const writable = (file: JailFile): boolean =>
  file.of === 'home' || file.of === 'root' || (file.of === 'saved' && file.write);

/**
 * Lets a VMM with this group open a file by itself. It goes on belonging to the runners' user: only its group becomes the VMM's, which
 * nobody else is in. What several VMs read may be read by all; who gets at it is decided by their jails, and by the folders above it.
 */
export async function lend({ handle, file, write }: OwnFile, group: number): Promise<void> {
  const { uid, mode } = await handle.stat();
  if (file.of === 'image' || (file.of === 'saved' && !file.write)) {
    if ((mode & 0o004) === 0) await handle.chmod((mode & 0o777) | 0o004);
    return;
  }
  await handle.chown(uid, group);
  await handle.chmod((mode & 0o700) | (write ? 0o060 : 0o040));
}

/** Device and inode, as the jail compares them. */
export async function inodeOf(handle: FileHandle): Promise<string> {
  const { dev, ino } = await handle.stat({ bigint: true });
  return `${dev}:${ino}`;
}

function pathOf({ home, memory }: HelperConfig, vmId: string, file: JailFile): string {
  const paths = homePaths(home);
  if (file.of === 'image') return join(paths.images.image(file.imageId), imageFiles[file.file]);
  if (file.of === 'home') return paths.vmFile(vmId, 'disk');
  if (file.of === 'saved') return paths.savedFile(file.savedId, file.file);
  if (file.of === 'root') return join(paths.vm(vmId), rootFile(file));
  return join(secretFolderOf(memory, home, vmId), `${vmId}.config`);
}

async function openOwn(uid: number, path: string, write: boolean): Promise<FileHandle> {
  const { O_RDWR, O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
  const file = await open(path, flags).catch((cause: unknown) => {
    throw new AppError('vmm_failed', `A file that the VM is to have cannot be opened: ${(cause as Error).message}`, {
      cause,
    });
  });
  const found = await file.stat();
  if (found.isFile() && found.uid === uid) return file;
  await file.close();
  throw new AppError(
    'invalid_request',
    `${path} is not a file of the user with id ${uid}, whose VMs this helper starts.`,
  );
}
