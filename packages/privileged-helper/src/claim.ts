/**
 * Who makes things for a VM: at most one process of the helper at a time. Owns `<run>/<vm id>/`, which is there from before the first
 * thing is made until after the last one is gone, so that whatever a killed helper left is found by it.
 */
import { randomUUID } from 'node:crypto';
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
 * Takes the VM for this process, waiting at most `waitMs` for another one to give it back; `recover` is told where that is which a holder
 * that is gone has left of its folder.
 * @throws AppError runner_claim_refused when another process has it
 */
export async function claim(
  run: string,
  vmId: string,
  recover: (left: string) => Promise<void>,
  waitMs = 0,
): Promise<string> {
  const folder = join(run, vmId);
  await mkdir(run, { recursive: true, mode: 0o711 });
  await chmod(run, 0o711);
  const found = await holderWithin(folder, Date.now() + waitMs);
  if (found === 'alive') throw taken(vmId);
  const [draft, left] = [asideOf(run, vmId), asideOf(run, vmId)];
  const hasLeft = found === 'gone' && (await putAside(folder, left, vmId));
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
  if (hasLeft) {
    await recover(left);
    await rm(left, { recursive: true });
  }
  return folder;
}

/**
 * What this process had claimed is anybody's again, with all that is in the folder gone in one step: whoever waits for it never finds it
 * half removed, nor makes it anew while it is.
 */
export async function release(run: string, vmId: string): Promise<void> {
  const left = asideOf(run, vmId);
  await rename(join(run, vmId), left);
  await rm(left, { recursive: true });
}

/** False: another process was faster. @throws AppError runner_claim_refused when it has claimed the VM, too */
async function putAside(folder: string, left: string, vmId: string): Promise<boolean> {
  const moved = await rename(folder, left).then(() => true, nullIfAbsent);
  if (moved === null) return false;
  if ((await holderOf(left)) !== 'alive') return true;
  await rename(left, folder);
  throw taken(vmId);
}

/** A name that tells whose it is, so that it is found when this process is killed. Never used before. */
const asideOf = (run: string, vmId: string): string => join(run, `.${vmId}.${process.pid}.${randomUUID()}`);

/** The VMs whose holder is gone, and what lies aside of processes that are gone. */
export async function abandoned(run: string): Promise<{ vmIds: string[]; aside: { vmId: string; left: string }[] }> {
  const names = (await readdir(run).catch(nullIfAbsent)) ?? [];
  const vmIds = names.filter((name) => VmId.safeParse(name).success);
  const holders = await Promise.all(vmIds.map((vmId) => holderOf(join(run, vmId))));
  const aside = [];
  for (const name of names) {
    const [, vmId, pid] = /^\.(vm_[^.]+)\.(\d+)\./.exec(name) ?? [];
    if (vmId !== undefined && !(await identifyProcess(Number(pid)))) aside.push({ vmId, left: join(run, name) });
  }
  return { vmIds: vmIds.filter((_, index) => holders[index] === 'gone'), aside };
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
