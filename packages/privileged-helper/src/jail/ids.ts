/**
 * User ids for VMMs, from a range that belongs to nobody else. One is taken while a VMM runs, and no file on a disk is ever made under
 * it, so that nothing has to remember whose it was. Owns `<run>/ids/<id>`.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { identifyProcess, isRunning } from '@airlock/contract/process';
import { ProcessIdentity } from '@airlock/contract/runner';

export interface IdRange {
  first: number;
  last: number;
}

/** Takes the first id that is free, for this process. @throws AppError vm_ids_exhausted */
export async function takeId(run: string, { first, last }: IdRange): Promise<number> {
  await mkdir(join(run, 'ids'), { recursive: true, mode: 0o700 });
  const self = JSON.stringify(await identifyProcess(process.pid));
  for (let id = first; id <= last; id += 1) {
    const path = idFile(run, id);
    if (await isAbandoned(path)) await rm(path, { force: true });
    const taken = await writeFile(path, self, { flag: 'wx', mode: 0o600 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
    if (taken) return id;
  }
  throw new AppError('vm_ids_exhausted', `All user ids from ${first} to ${last} are those of VMs that run.`, {
    hint: 'Give the privileged helper a larger range: --ids FIRST-LAST in its unit.',
  });
}

export const giveBackId = (run: string, id: number): Promise<void> => rm(idFile(run, id), { force: true });

/** Half-written by a process that is about to say who it is: not abandoned. */
async function isAbandoned(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(nullIfAbsent);
  if (text === null || text === '') return false;
  return !(await isRunning(ProcessIdentity.parse(JSON.parse(text))));
}

const idFile = (run: string, id: number): string => join(run, 'ids', String(id));
