/** A look at the disks of a VM before power-on: a wrong, cut-off or missing file is named at once, not by a timeout. */
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { homeDriveId, rootDriveId, runnerFiles, type VmDrive, type VmSpec } from '@airlock/contract/runner';

const label = 'airlock-root';

/** What is wrong with the first 2 KiB of an ext4 image of `size` bytes, or null. Offsets: ext4(5), superblock at 1024. */
export function judgeSuperblock(head: Buffer, size: number): string | null {
  if (head.length < 2048 || head.readUInt16LE(0x438) !== 0xef53) return 'it holds no ext4 file system';
  const found = head.subarray(0x478, 0x488).toString('latin1').replace(/\0.*$/s, '');
  if (found !== label) return `its label is "${found}", not "${label}"`;
  const expected = head.readUInt32LE(0x404) * 2 ** (10 + head.readUInt32LE(0x418));
  return size < expected ? `it has ${size} bytes of the ${expected} that its file system needs` : null;
}

/**
 * Whether a system can boot from the root, and the home is there: the guest says what else is wrong with that.
 * @throws AppError vm_boot_failed for a root that is none; image_missing, home_unusable for a file that is not there
 */
export async function checkDisks({ vmId, drives }: Pick<VmSpec, 'vmId' | 'drives'>): Promise<void> {
  for (const drive of drives) {
    if (drive.id !== rootDriveId && drive.id !== homeDriveId) continue;
    const file = await open(drive.path, 'r').catch((cause: unknown) => {
      throw missing(vmId, drive, cause);
    });
    try {
      if (drive.id === rootDriveId) await checkRoot(vmId, drive, file);
    } finally {
      await file.close();
    }
  }
}

async function checkRoot(vmId: string, drive: VmDrive, file: FileHandle): Promise<void> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(2048), 0, 2048, 0);
  const { size } = await file.stat();
  const problem = judgeSuperblock(buffer.subarray(0, bytesRead), size);
  if (problem === null) return;
  throw new AppError('vm_boot_failed', `The root disk ${drive.path} cannot be booted: ${problem}.`, {
    hint: isHome(drive) ? restoreHint : rootHint(vmId, drive),
  });
}

function missing(vmId: string, drive: VmDrive, cause: unknown): AppError {
  if (isHome(drive)) {
    return new AppError('home_unusable', `The disk ${drive.path} with the home of ${vmId} cannot be opened.`, {
      hint: restoreHint,
      cause,
    });
  }
  return new AppError('image_missing', `The root disk ${drive.path} cannot be opened.`, {
    hint: rootHint(vmId, drive),
    cause,
  });
}

/** Also the root of a CLI VM that has none beside its home. */
const isHome = ({ path }: VmDrive): boolean => basename(path) === runnerFiles.disk;

const restoreHint = 'Put the file back, or a backup of the home: `npx airlock vm restore`.';
/** A root that the VM may write is a copy, and can be made anew under the same home. */
const rootHint = (vmId: string, { readOnly }: VmDrive): string =>
  readOnly
    ? 'Build the golden image again: `npx airlock image build --force`.'
    : `Give the VM a fresh root under the same home: \`npx airlock vm reset ${vmId}\`.`;
