/** Puts a configuration into force: random numbers, clock, /run/airlock, host name, home folder, then the flag. */
import { chown, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestConfig } from '@airlock/contract/guest';
import type { Processes } from '../processes.js';
import type { AgentSettings } from '../settings.js';
import type { System } from '../system.js';
import { runFiles, type RunFile } from './files.js';
import { openHome } from './home.js';

/** A clock that is less than this behind is left alone; milliseconds. */
const clockToleranceMs = 2000;

/**
 * Applies all of `config`. May be repeated, with the same or another configuration.
 * @throws the first failure; the flag file is only made when everything succeeded.
 */
export async function applyConfig(
  config: GuestConfig,
  settings: AgentSettings,
  system: System,
  processes: Processes,
): Promise<void> {
  await mkdir(settings.runFolder, { recursive: true, mode: 0o755 });
  // What needs randomness or the time waits for the flag, so that all of this may run side by side.
  await Promise.all([
    system.seedRandom(Buffer.from(config.entropy, 'base64')),
    advanceClock(config.epochMs, system),
    writeRunFiles(config, settings, system),
    system.setHostname(config.hostname),
    openHome(settings, processes, system.user, config.homeKey === null ? null : Buffer.from(config.homeKey, 'base64')),
  ]);
  await writeFile(join(settings.runFolder, 'configured'), '', { mode: 0o644 });
}

/** The drive was written in the past, so that its time is a lower bound: whether the clock is ahead, only the runner knows. */
async function advanceClock(epochMs: number, system: System): Promise<void> {
  const behindMs = epochMs - Date.now();
  if (behindMs > clockToleranceMs) await system.moveClock(behindMs);
}

async function writeRunFiles(config: GuestConfig, settings: AgentSettings, system: System): Promise<void> {
  const { runFolder } = settings;
  const base = await readFile(settings.baseCaBundle, 'utf8');
  await Promise.all([
    ...runFiles(config, base, runFolder).map((file) => writeRunFile(file, runFolder, system)),
    replaceLink(`/usr/share/zoneinfo/${config.timezone}`, join(runFolder, 'localtime')),
  ]);
}

/** Whole or not at all: the files are read by other processes at any moment. */
async function writeRunFile(file: RunFile, runFolder: string, system: System): Promise<void> {
  const path = join(runFolder, file.name);
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  await writeFile(temporary, file.content, { mode: file.mode, flag: 'wx' });
  if (file.forUser === true) await chown(temporary, system.user.uid, system.user.gid);
  await rename(temporary, path);
}

async function replaceLink(target: string, path: string): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  await symlink(target, temporary);
  await rename(temporary, path);
}
