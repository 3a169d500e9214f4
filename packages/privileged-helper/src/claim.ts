/**
 * Who makes things for a VM: at most one process of the helper at a time. Owns `<run>/<vm id>/`, which is there from before the first
 * thing is made until after the last one is gone, so that whatever a killed helper left is found by it.
 */
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { VmId } from '@airlock/contract/ids';
import { identifyProcess, isRunning } from '@airlock/contract/process';
import { ProcessIdentity } from '@airlock/contract/runner';

const holderFile = 'holder.json';
/** Milliseconds. */
const pollMs = 50;

/**
 * Takes the VM for this process, waiting at most `waitMs` for another one to give it back; `recover` is called first when a holder that
 * is gone has left things.
 * @throws AppError runner_claim_refused when another process has it
 */
export async function claim(run: string, vmId: string, recover: () => Promise<void>, waitMs = 0): Promise<string> {
  const folder = join(run, vmId);
  await mkdir(run, { recursive: true, mode: 0o711 });
  await chmod(run, 0o711);
  const found = await holderWithin(folder, Date.now() + waitMs);
  if (found === 'alive') throw taken(vmId);
  if (found === 'gone') {
    await recover();
    await rm(folder, { recursive: true, force: true });
  }
  const draft = join(run, `.${vmId}.${process.pid}`);
  // Of an earlier process with this pid.
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o711 });
  try {
    await writeFile(join(draft, holderFile), JSON.stringify(await identifyProcess(process.pid)), { mode: 0o600 });
    // Fails where another process was faster, for its folder is not empty.
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true });
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw taken(vmId);
    throw error;
  }
  return folder;
}

/** The VMs whose holder is gone; what a process that is gone had only begun to claim is removed. */
export async function abandoned(run: string): Promise<string[]> {
  const names = (await readdir(run).catch(nullIfAbsent)) ?? [];
  for (const name of names) {
    const pid = /^\.vm_[^.]+\.(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !(await identifyProcess(Number(pid)))) await rm(join(run, name), { recursive: true });
  }
  const vms = names.filter((name) => VmId.safeParse(name).success);
  const holders = await Promise.all(vms.map((vmId) => holderOf(join(run, vmId))));
  return vms.filter((_, index) => holders[index] === 'gone');
}

async function holderWithin(folder: string, deadline: number): ReturnType<typeof holderOf> {
  for (;;) {
    const found = await holderOf(folder);
    if (found !== 'alive' || Date.now() >= deadline) return found;
    await pause(pollMs);
  }
}

async function holderOf(folder: string): Promise<'nobody' | 'alive' | 'gone'> {
  const text = await readFile(join(folder, holderFile), 'utf8').catch(nullIfAbsent);
  if (text === null) return 'nobody';
  return (await isRunning(ProcessIdentity.parse(JSON.parse(text)))) ? 'alive' : 'gone';
}

const taken = (vmId: string): AppError =>
  new AppError('runner_claim_refused', `Another runner has the network of ${vmId}.`, {
    hint: 'It ends with that runner; `npx airlock vm list` shows what runs.',
  });

export const isTaken = (error: unknown): boolean => error instanceof AppError && error.code === 'runner_claim_refused';
