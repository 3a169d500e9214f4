/** Ending the runner of a VM, and whatever it has left running. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent, parseOrNull } from '@airlock/contract/file';
import { isRunning, killExactly } from '@airlock/contract/process';
import { readVmSpec, type RunnerStatus } from '@airlock/contract/runner';
import { clientOf, dropClient, type EngineContext } from './context.js';
import { answerMs, pollMs } from './runner.js';
import { heardOf } from './status.js';

/** Milliseconds more than the guest's grace for a runner to put everything away. */
const cleanUpMs = 15_000;

/** See `Engine.stop`. */
export async function stop(ctx: EngineContext, vmId: string, graceMs: number): Promise<void> {
  const last = await heardOf(ctx, vmId);
  if (last && (await isRunning(last.runner))) {
    await clientOf(ctx, vmId)
      .call('POST', '/stop', null, { body: { graceMs }, timeoutMs: answerMs })
      .catch((error: unknown) => killWhenDeaf(error, last));
    await waitForEnd(last, graceMs + cleanUpMs);
  }
  // The VMM dies with its runner; this is for a runner that was itself killed before it could know.
  if (last?.vmm) await killExactly(last.vmm).catch(unlessOfOther);
  await dropClient(ctx, vmId);
  await forgetSecrets(ctx, vmId);
}

/** Removes the config drive of a VM that no longer runs. */
export async function forgetSecrets({ paths, secretFolders }: EngineContext, vmId: string): Promise<void> {
  const text = await readFile(paths.vmFile(vmId, 'spec'), 'utf8').catch(nullIfAbsent);
  if (text === null) return;
  // Where a crash of the host emptied the spec, the settings say where the drive would have been.
  const folder =
    parseOrNull(text, readVmSpec)?.secretFolder ?? (await secretFolders.placeOf(vmId).catch(nullIfNowhere));
  if (folder !== null) await secretFolders.remove(folder);
}

/** Where there is no place for secrets, none were left. */
function nullIfNowhere(error: unknown): null {
  if (error instanceof AppError && error.code === 'host_unsupported') return null;
  throw error;
}

/** A VMM that is locked up is another user's. Its helper ends it as soon as the runner is gone, and the next one waits for that. */
function unlessOfOther(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPERM') throw error;
}

async function killWhenDeaf(error: unknown, last: RunnerStatus): Promise<void> {
  if (!(error instanceof AppError)) throw error;
  await killExactly(last.runner);
}

async function waitForEnd(last: RunnerStatus, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (await isRunning(last.runner)) {
    if (Date.now() > deadline) await killExactly(last.runner);
    await pause(pollMs);
  }
}
