/** A look at what a VM is made of before Firecracker is: it names its own errors after its source, and takes more memory than there is. */
import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { AppError } from '@airlock/contract/errors';
import type { VmmOptions } from '../driver.js';

export type Inputs = Pick<VmmOptions, 'kernel' | 'initrd' | 'drives' | 'memoryMib'>;

/** What a VM boots from. @throws AppError vmm_failed, kernel_unusable */
export async function checkBoot({ kernel, initrd }: Inputs): Promise<void> {
  await checkKernel(kernel);
  if (!(await mayUse(initrd, false))) throw bootFileMissing('initrd', initrd);
}

/** What every VM has. @throws AppError vmm_failed, drive_unusable */
export async function checkVm({ drives, memoryMib }: Inputs): Promise<void> {
  const hostMib = Math.floor(totalmem() / 1024 ** 2);
  if (memoryMib > hostMib) {
    throw new AppError('vmm_failed', `The VM is to have ${memoryMib} MiB of memory; this host has ${hostMib} MiB.`, {
      hint: 'Set AIRLOCK_VM_MEMORY_MIB to less.',
    });
  }
  for (const { id, path, readOnly } of drives) {
    if (await mayUse(path, !readOnly)) continue;
    const wanted = readOnly ? 'read' : 'read and written';
    throw new AppError(
      'drive_unusable',
      `The drive "${id}" of the VM, ${path}, is not there or cannot be ${wanted} by this user.`,
      {
        hint: 'Look at the file, its owner, and how its file system is mounted.',
      },
    );
  }
}

async function checkKernel(path: string): Promise<void> {
  const file = await open(path, 'r').catch(() => {
    throw bootFileMissing('kernel', path);
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(5), 0, 5, 0);
    // 64-bit ELF: what a Debian kernel holds compressed, and the image has unpacked.
    if (buffer.subarray(0, bytesRead).toString('latin1') === '\x7fELF\x02') return;
  } finally {
    await file.close();
  }
  throw new AppError('kernel_unusable', `The kernel ${path} is no 64-bit ELF file, which is what Firecracker boots.`, {
    hint: rebuild,
  });
}

const rebuild = 'Build the golden image again: `npx airlock image build --force`.';

const bootFileMissing = (what: string, path: string): AppError =>
  new AppError('vmm_failed', `The ${what} ${path} cannot be opened.`, { hint: rebuild });

const mayUse = (path: string, alsoWrite: boolean): Promise<boolean> =>
  access(path, alsoWrite ? constants.R_OK | constants.W_OK : constants.R_OK).then(
    () => true,
    () => false,
  );
