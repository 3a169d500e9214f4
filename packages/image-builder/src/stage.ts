/** Gathers what goes into the root besides Debian: CLIs, guest files, agent, and the scripts that the build runs in there. */
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
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

export interface Packing {
  stage: string;
  /** Takes the tar. */
  pipe: string;
  /** How old everything is: seconds since 1970. */
  epoch: number;
  /** Settles when whoever reads the pipe has ended. */
  reader: Promise<unknown>;
  signal: AbortSignal;
}

/**
 * Packs `stage` into `pipe`: everything belongs to root.
 * @throws what the reader failed with, when it stopped reading; AppError command_failed
 */
export async function packStage({ stage, pipe, epoch, reader, signal }: Packing): Promise<void> {
  const same = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  const modes = '--mode=u=rwX,go=rX';
  try {
    await run('tar', ['--create', `--file=${pipe}`, `--directory=${stage}`, ...same, modes, '.'], { signal });
  } catch (error) {
    // Nobody reads any more. Why is for the reader to tell, which has not said it yet.
    if (error instanceof AppError && error.details?.['signal'] === 'SIGPIPE') await reader;
    throw error;
  }
}
