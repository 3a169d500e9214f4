/**
 * Claiming a VM folder: exactly one living runner owns it. The claim is a file with the owner's process identity and epoch;
 * it stays behind when the runner ends, so that an older epoch is refused for ever. Never touches a living owner's claim.
 */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { isRunning } from '@airlock/contract/process';
import { ProcessIdentity } from '@airlock/contract/runner';

const Claim = z.strictObject({ epoch: z.int().positive(), owner: ProcessIdentity });
type Claim = z.infer<typeof Claim>;

/**
 * Writes the claim at `path`.
 * @throws AppError runner_claim_refused when another runner is alive there, or when a newer epoch was there before.
 */
export async function claim(path: string, epoch: number, owner: ProcessIdentity): Promise<void> {
  const mine = `${path}.${owner.pid}`;
  const replaced = `${mine}.replaced`;
  await writeFile(mine, JSON.stringify({ epoch, owner } satisfies Claim), { mode: 0o600 });
  try {
    // A link is made by one process only. Should two take over a dead claim at once, one of them moves the other's fresh
    // claim away: it sees that when it reads what it moved, and puts it back.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (await linkNew(mine, path)) return;
      await refuseUnlessFree(path, epoch);
      if (!(await moveAway(path, replaced))) continue;
      await refuseUnlessFree(replaced, epoch).catch(async (error: unknown) => {
        await linkNew(replaced, path);
        throw error;
      });
    }
    throw new AppError('runner_claim_refused', 'Several runners tried to claim this VM at the same moment.');
  } finally {
    await Promise.all([rm(mine, { force: true }), rm(replaced, { force: true })]);
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

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function moveAway(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
