/**
 * Which CLI versions this AIRLOCK_HOME builds: those of the project, unless `images/pins.json` says otherwise. It is written
 * by `image build --cli` and `--refresh` once their image is current, and taken away by `--defaults`.
 */
import { readFile, rm } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { imagesPaths } from '@airlock/contract/home';
import { lockedCli, NpmLock, type CliSet } from './clis.js';
import type { Cli } from './description.js';

export const Pins = z.strictObject({
  version: z.literal(1),
  /** `asked`: by `--cli`, stays until it is taken back. `refresh`: counts until the project itself names something newer. */
  from: z.enum(['asked', 'refresh']),
  clis: z.record(z.string(), z.string().regex(/^\d+\.\d+\.\d+/)),
  lock: NpmLock,
});
export type Pins = z.infer<typeof Pins>;

/** @throws AppError config_invalid when the file is not what this program writes. */
export async function readPins(imagesDir: string): Promise<Pins | null> {
  const path = imagesPaths(imagesDir).pins;
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return Pins.parse(JSON.parse(text));
  } catch (cause) {
    throw new AppError('config_invalid', `${path} cannot be read as the pinned versions of the CLIs.`, {
      hint: 'Run `npx airlock image build --defaults`, which takes the versions of the project.',
      cause,
    });
  }
}

/** Writes the pins, or takes them away. */
export async function writePins(imagesDir: string, pins: Pins | null): Promise<void> {
  const path = imagesPaths(imagesDir).pins;
  if (pins === null) return rm(path, { force: true });
  await replaceFile(path, `${JSON.stringify(pins, null, 2)}\n`);
}

export function pinsOf({ clis, lock }: CliSet, from: Pins['from']): Pins {
  return { version: 1, from, clis: Object.fromEntries(clis.map((cli) => [cli.id, cli.version])), lock };
}

/** The project's set, or the pinned one where that counts. */
export function applyPins(project: CliSet, pins: Pins | null): CliSet {
  if (pins === null) return project;
  const overtaken = project.clis.some((cli) => compareVersions(cli.version, pins.clis[cli.id] ?? '0.0.0') > 0);
  if (pins.from === 'refresh' && overtaken) return project;
  return { clis: project.clis.map((cli) => lockedCli(pins.lock, cli)), lock: pins.lock };
}

/** Below zero, zero or above zero, as `a` is older than, the same as or newer than `b`; a pre-release is older. */
export function compareVersions(a: string, b: string): number {
  const parts = (text: string): number[] => (text.split(/[-+]/)[0] ?? '').split('.').map(Number);
  const [left, right] = [parts(a), parts(b)];
  for (const [index, number] of left.entries()) {
    const difference = number - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return Number(b.includes('-')) - Number(a.includes('-'));
}

/**
 * Parses the values of `--cli`, such as `codex@0.170.0`, to versions by id.
 * @throws AppError invalid_request
 */
export function parseCliOptions(values: readonly string[], clis: readonly Cli[]): Record<string, string> {
  const ids = clis.map(({ id }) => id);
  return Object.fromEntries(
    values.map((value) => {
      const match = /^([a-z]+)@(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/.exec(value);
      if (match && ids.includes(match[1] as Cli['id'])) return [match[1], match[2]];
      throw new AppError('invalid_request', `--cli ${value}: expected one of ${ids.join(', ')} and a version.`, {
        hint: 'For example `--cli codex@0.169.0`.',
      });
    }),
  );
}
