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

/** Opens all, in order. @throws AppError vmm_failed, invalid_request: none is open then */
export async function openFiles(config: HelperConfig, vmId: string, files: readonly JailFile[]): Promise<FileHandle[]> {
  const opened: FileHandle[] = [];
  try {
    for (const file of files) opened.push(await openOwn(config.uid, pathOf(config, vmId, file), writable(file)));
    return opened;
  } catch (error) {
    await Promise.all(opened.map((file) => file.close()));
    throw error;
  }
}

const writable = ({ of }: JailFile): boolean => of === 'home' || of === 'root';

function pathOf({ home, memory }: HelperConfig, vmId: string, file: JailFile): string {
  const paths = homePaths(home);
  if (file.of === 'image') return join(paths.images.image(file.imageId), imageFiles[file.file]);
  if (file.of === 'home') return paths.vmFile(vmId, 'disk');
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
