/** Gathers what goes into the root besides Debian: CLIs, guest files, agent, and the scripts that the build runs in there. */
import { dirname, join } from 'node:path';
import { guestPaths } from '@airlock/contract/guest';
import { run } from '@airlock/contract/process';
import { buildFolder } from './check/shell.js';
import { writeEntry, type InputEntry } from './inputs.js';

export interface StageContent {
  guest: readonly InputEntry[];
  /** finish.sh and what else the chroot runs. */
  scripts: readonly InputEntry[];
  agent: InputEntry;
}

/** Writes everything but the CLIs below `stage`. */
export async function fillStage(stage: string, content: StageContent): Promise<void> {
  for (const entry of content.guest) await writeEntry(stage, entry);
  for (const entry of content.scripts) await writeEntry(join(stage, buildFolder), entry);
  await writeEntry(join(stage, dirname(guestPaths.agentBundle)), content.agent);
}

/** Makes the pipe through which the stage reaches the root. Whoever opens it waits for the other side. */
export async function makePipe(path: string, signal: AbortSignal): Promise<void> {
  // Read by a mapped user in an unprivileged build; written by this user alone.
  await run('mkfifo', ['--mode=0644', path], { signal });
}

/** Packs `stage` into `target`: everything belongs to root and is as old as `epoch` (seconds since 1970). */
export async function packStage(stage: string, target: string, epoch: number, signal: AbortSignal): Promise<void> {
  const same = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  const modes = '--mode=u=rwX,go=rX';
  await run('tar', ['--create', `--file=${target}`, `--directory=${stage}`, ...same, modes, '.'], { signal });
}
