/**
 * User ids for VMMs, from a range that belongs to nobody else. One is taken while a VMM runs, and no file on a disk is ever made under
 * it, so that nothing has to remember whose it was. Owns `<run>/ids/<id>`.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { identifyProcess, isRunning } from '@airlock/contract/process';
import type { VmUsers } from '@airlock/contract/privileged';
import { ProcessIdentity } from '@airlock/contract/runner';

/**
 * Takes an id for this process: `wanted`, or the last that is free: those who ask for one begin at the other end. Whoever asks for one is not trusted to give each VM its own.
 * @throws AppError vm_ids_exhausted, vm_id_refused
 */
export async function takeId(run: string, range: VmUsers, wanted?: number): Promise<number> {
  if (wanted !== undefined && (wanted < range.first || wanted > range.last)) {
    throw refused(wanted, `is none of those from ${range.first} to ${range.last} that this helper has for VMs`);
  }
  // Not `recursive`, which tells of a full file system that the folder above is absent.
  await mkdir(join(run, 'ids'), { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const draft = join(run, 'ids', `.${process.pid}.${randomUUID()}`);
  try {
    await writeFile(draft, JSON.stringify(await identifyProcess(process.pid)), { mode: 0o600 });
    const taken = await lastFree(run, wanted === undefined ? range : { first: wanted, last: wanted }, draft);
    if (taken !== null) return taken;
    throw wanted === undefined ? exhausted(range) : refused(wanted, 'is that of another VM that runs');
  } finally {
    await rm(draft, { force: true });
  }
}

/** By a link: none is there before it says whose it is, also where there is no space for that. */
async function lastFree(run: string, { first, last }: VmUsers, draft: string): Promise<number | null> {
  for (let id = last; id >= first; id -= 1) {
    const path = idFile(run, id);
    if (await isAbandoned(path)) await rm(path, { force: true });
    const taken = await link(draft, path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (taken) return id;
  }
  return null;
}

const exhausted = ({ first, last }: VmUsers): AppError =>
  new AppError('vm_ids_exhausted', `All user ids from ${first} to ${last} are those of VMs that run.`, {
    hint: 'Give the privileged helper a larger range: --ids FIRST-LAST in its unit.',
  });

const refused = (id: number, why: string): AppError =>
  new AppError('vm_id_refused', `The user id ${id}, which the VM is to have, ${why}.`, {
    hint: 'Restart the controller where the range of the helper, --ids, was changed. No two controllers may have one range on a host.',
  });

/** Gives back those of processes that are gone. */
export async function sweepIds(run: string): Promise<void> {
  for (const name of (await readdir(join(run, 'ids')).catch(nullIfAbsent)) ?? []) {
    const path = join(run, 'ids', name);
    if (await isAbandoned(path)) await rm(path, { force: true });
  }
}

export const giveBackId = (run: string, id: number): Promise<void> => rm(idFile(run, id), { force: true });

async function isAbandoned(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(nullIfAbsent);
  if (text === null) return false;
  return !(await isRunning(ProcessIdentity.parse(JSON.parse(text))));
}

const idFile = (run: string, id: number): string => join(run, 'ids', String(id));
