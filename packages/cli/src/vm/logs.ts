/** The logs in the folder of a VM, straight from disk: they stay readable when the controller does not run. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { tail } from '@airlock/contract/process';

/** No more than this is read of the end of each log. */
const maxBytes = 1024 * 1024;

/** @throws AppError not_found when this home has no folder or no log for the VM. */
export async function readLogs(home: string, vmId: string, lines: number): Promise<{ name: string; text: string }[]> {
  const folder = homePaths(home).vm(vmId);
  const names = (await readdir(folder).catch(nullIfAbsent))?.filter((name) => name.endsWith('.log')).sort() ?? [];
  if (names.length === 0) {
    throw new AppError('not_found', `${folder} holds no log.`, { hint: '`airlock vm list` shows the VMs there are.' });
  }
  return Promise.all(names.map(async (name) => ({ name, text: tail(await readEnd(join(folder, name)), lines) })));
}

/** Control characters of a serial console would play with the reader's terminal. */
const unprintable = /[^\P{Cc}\n\t]/gu;

async function readEnd(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, maxBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8', 0, bytesRead).replace(unprintable, '');
  } finally {
    await handle.close();
  }
}
