/** Starting the runner of a VM: its folder and spec, the place of its secrets, the process, and its first answer. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder, nullIfAbsent, parseOrNull, replaceFile } from '@airlock/contract/file';
import { tail } from '@airlock/contract/process';
import {
  homeDriveId,
  imageOf,
  readVmSpec,
  rootDriveId,
  rootFile,
  RunnerStatus,
  VmSpec,
  type RunnerSecrets,
  type VmDrive,
} from '@airlock/contract/runner';
import { spawnRunner } from '@airlock/contract/spawn-runner';
import { clientOf, dropClient, type EngineContext, type ImageFiles } from './context.js';
import { rootPath } from './disk.js';
import type { VmPlan } from './engine.js';
import { pollMs, runnerMain, startTimeoutMs } from './runner.js';
import { lastWord } from './status.js';

/** See `Engine.start`. */
export async function start(ctx: EngineContext, plan: VmPlan, secrets: RunnerSecrets): Promise<void> {
  const { vmId } = plan;
  // Before anything is made: without its image nothing of this start is to be left.
  const image = await ctx.imageFiles(plan.imageId);
  const folder = ctx.paths.vm(vmId);
  await dropClient(ctx, vmId);
  await makePrivateFolder(folder);
  await rm(ctx.paths.vmFile(vmId, 'status'), { force: true });
  const secretFolder = await ctx.secretFolders.placeOf(vmId);
  const spec = specOf(ctx, plan, image, secretFolder);
  await noteFormerRoot(ctx, plan);
  // Before the place of the secrets: only the spec tells where it is, however this start ends.
  await replaceFile(ctx.paths.vmFile(vmId, 'spec'), `${JSON.stringify(spec, null, 2)}\n`);
  try {
    // Not left to the runner: a browser VM counts as there as long as it has this folder.
    await ctx.secretFolders.make(secretFolder);
  } catch (error) {
    // Nobody is to take away what somebody else has there.
    await rm(ctx.paths.vmFile(vmId, 'spec'), { force: true });
    throw error;
  }
  const { child, exited } = await spawnRunner({ program: runnerMain, folder, secrets, outlives: true, low: plan.low });
  child.unref();
  const over = new AbortController();
  const failure = await Promise.race([exited, untilAnswering(ctx, vmId, over.signal)]);
  over.abort();
  if (failure === null) return;
  if (child.pid !== undefined && child.exitCode === null) child.kill('SIGKILL');
  throw await startFailure(ctx, vmId, failure);
}

/**
 * A VM that booted from the disk of its home until now may have to do so again, from the same image: an empty file that is called like a
 * root says which, until `keepRoots` takes it away.
 */
async function noteFormerRoot(ctx: EngineContext, { vmId, root }: VmPlan): Promise<void> {
  if (root === null || root === 0) return;
  const text = await readFile(ctx.paths.vmFile(vmId, 'spec'), 'utf8').catch(nullIfAbsent);
  const former = text === null ? null : parseOrNull(text, readVmSpec);
  if (former?.drives.find(({ id }) => id === rootDriveId)?.path !== ctx.paths.vmFile(vmId, 'disk')) return;
  await writeFile(join(ctx.paths.vm(vmId), rootFile({ number: 0, imageId: imageOf(former) })), '', { mode: 0o600 });
}

/** The plan as a runner of this host understands it. */
function specOf(ctx: EngineContext, plan: VmPlan, image: ImageFiles, secretFolder: string): VmSpec {
  const { imageId: _, root: __, low: ___, vmUser, waits, ...same } = plan;
  const { kernel, initrd } = image;
  const drives = drivesOf(ctx, plan, image);
  const { tscKhz, helperSocket } = ctx;
  const network = helperSocket === null ? {} : { helperSocket, ...(vmUser !== null && { vmUser }) };
  return VmSpec.parse({
    ...same,
    version: 2,
    kernel,
    initrd,
    drives,
    secretFolder,
    tscKhz,
    ...network,
    ...(waits && { waits }),
  });
}

function drivesOf(ctx: EngineContext, { vmId, imageId, root: number }: VmPlan, { rootfs }: ImageFiles): VmDrive[] {
  if (number === null) return [{ id: rootDriveId, path: rootfs, readOnly: true }];
  const root = { id: rootDriveId, path: rootPath(ctx, vmId, { number, imageId }), readOnly: false };
  if (number === 0) return [root];
  return [root, { id: homeDriveId, path: ctx.paths.vmFile(vmId, 'disk'), readOnly: false }];
}

/** null once the runner answers; a reason when the time is up, or the wait is. */
async function untilAnswering(ctx: EngineContext, vmId: string, over: AbortSignal): Promise<string | null> {
  const deadline = Date.now() + startTimeoutMs;
  while (Date.now() < deadline && !over.aborted) {
    const answered = await clientOf(ctx, vmId)
      .call('GET', '/status', RunnerStatus, { timeoutMs: 2000 })
      .then(
        () => true,
        () => false,
      );
    if (answered) return null;
    await pause(pollMs);
  }
  return `did not answer within ${startTimeoutMs} ms`;
}

async function startFailure(ctx: EngineContext, vmId: string, reason: string): Promise<AppError> {
  const last = await lastWord(ctx, vmId);
  if (last?.error) return AppError.fromBody(last.error);
  const path = ctx.paths.vmFile(vmId, 'runnerLog');
  const log = await readFile(path, 'utf8').catch(() => '');
  return new AppError('runner_failed', `The runner of ${vmId} ${reason}.`, {
    hint: `Its log is ${path}.`,
    details: { lastLog: tail(log) },
  });
}
