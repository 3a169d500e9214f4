/**
 * Claiming a VM folder: exactly one living runner owns it. The claim is a file with the owner's process identity and epoch;
 * it stays behind when the runner ends, so that an older epoch is refused for ever. Never touches a living owner's claim.
 */
import { mkdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { isRunning } from '@airlock/contract/process';
import { ProcessIdentity } from '@airlock/contract/runner';

const Claim = z.strictObject({ epoch: z.int().positive(), owner: ProcessIdentity });
type Claim = z.infer<typeof Claim>;

/** A claim takes milliseconds: a gate that is older was left by a crash in the middle of one. */
const gateMaxAgeMs = 10_000;

/**
 * Writes the claim at `path`.
 * @throws AppError runner_claim_refused when another runner is alive there or is claiming at this moment, or when a newer
 * epoch was there before.
 */
export async function claim(path: string, epoch: number, owner: ProcessIdentity): Promise<void> {
  const gate = `${path}.gate`;
  // Making a folder succeeds for one process only; behind it, reading and replacing the claim are one step.
  if (!(await makeGate(gate)) && !((await removeStale(gate)) && (await makeGate(gate)))) {
    throw new AppError('runner_claim_refused', 'Another runner is claiming this VM at this moment.');
  }
  try {
    await refuseUnlessFree(path, epoch);
    await replaceFile(path, JSON.stringify({ epoch, owner } satisfies Claim), { durable: false, soleWriter: true });
  } finally {
    await rm(gate, { recursive: true, force: true });
  }
}

async function makeGate(gate: string): Promise<boolean> {
  try {
    await mkdir(gate);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a gate that a crash left; true when it may be made anew. */
async function removeStale(gate: string): Promise<boolean> {
  try {
    if (Date.now() - (await stat(gate)).mtimeMs < gateMaxAgeMs) return false;
    await rmdir(gate);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
}

async function refuseUnlessFree(path: string, epoch: number): Promise<void> {
  const found = await readClaim(path);
  if (!found) return;
  if (await isRunning(found.owner)) {
    throw new AppError(
      'runner_claim_refused',
      `The runner with pid ${found.owner.pid} already owns this VM (epoch ${found.epoch}; this one has ${epoch}).`,
      { hint: 'Stop that runner first, by POST /stop on its socket.' },
    );
  }
  if (found.epoch > epoch) {
    throw new AppError(
      'runner_claim_refused',
      `This VM was started with epoch ${found.epoch} before; this runner has the older epoch ${epoch}.`,
    );
  }
}

/** A claim that cannot be read was cut short by a crash of the host: it protects nobody. */
async function readClaim(path: string): Promise<Claim | null> {
  try {
    const parsed = Claim.safeParse(JSON.parse(await readFile(path, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
