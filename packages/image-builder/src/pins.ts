/**
 * Which CLI versions this AIRLOCK_HOME builds: those of the project, unless `images/pins.json` says otherwise. It is written
 * by `image build --cli` and `--refresh` once their image is current, and taken away by `--defaults`.
 */
import { readFile, rm } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { imagesPaths } from '@airlock/contract/home';
import { currentId } from '@airlock/contract/provider/former-ids';
import { providerIds } from '@airlock/contract/provider/provider';
import { findProvider } from '@airlock/contract/provider/registry';
import { findLocked, installedPackage, lockedCli } from './cli.js';
import { NpmLock, type CliSet } from './clis.js';

export const Pins = z.strictObject({
  version: z.literal(1),
  /** `asked`: by `--cli`, stays until it is taken back. `refresh`: counts until the project itself names something newer. */
  from: z.enum(['asked', 'refresh']),
  /** By provider; files of before name some CLIs otherwise. */
  clis: z
    .record(z.string(), z.string().regex(/^\d+\.\d+\.\d+/))
    .transform((clis) => Object.fromEntries(Object.entries(clis).map(([id, version]) => [currentId(id), version]))),
  lock: NpmLock,
});
export type Pins = z.infer<typeof Pins>;

/** @throws AppError config_invalid when the file is not what this program writes. */
export async function readPins(imagesFolder: string): Promise<Pins | null> {
  const path = imagesPaths(imagesFolder).pins;
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
export async function writePins(imagesFolder: string, pins: Pins | null): Promise<void> {
  const path = imagesPaths(imagesFolder).pins;
  if (pins === null) return rm(path, { force: true });
  await replaceFile(path, `${JSON.stringify(pins, null, 2)}\n`);
}

export function pinsOf({ clis, lock }: CliSet, from: Pins['from']): Pins {
  return { version: 1, from, clis: Object.fromEntries(clis.map((cli) => [cli.id, cli.version])), lock };
}

/**
 * The project's set, or the pinned one where that counts.
 * @throws AppError image_build_failed when versions were asked for before a package came that the pins do not know
 */
export function applyPins(project: CliSet, pins: Pins | null): CliSet {
  if (pins === null) return project;
  const added = project.clis.find((cli) => findLocked(pins.lock, cli) === undefined);
  if (added && pins.from === 'refresh') return project;
  if (added) {
    throw new AppError(
      'image_build_failed',
      `The versions that were asked for do not include ${installedPackage(added)}, which is new.`,
      {
        hint: 'Run `npx airlock image build --defaults`, and ask for other versions again.',
      },
    );
  }
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

const release = /^(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/;

/**
 * Parses the values of `--cli`, such as `codex@0.170.0`, to versions by id; a provider's other names do as well.
 * @throws AppError invalid_request
 */
export const parseCliOptions = (values: readonly string[]): Record<string, string> =>
  parseVersions(values, '--cli ', release);

/** The same for the words of `npm run clis`, where `*` asks for the newest. @throws AppError invalid_request */
export const parseProjectVersions = (values: readonly string[]): Record<string, string> =>
  parseVersions(values, '', new RegExp(`${release.source}|^\\*$`));

function parseVersions(values: readonly string[], before: string, form: RegExp): Record<string, string> {
  return Object.fromEntries(
    values.map((value) => {
      const [name = '', version = '', ...rest] = value.split('@');
      const id = findProvider(name)?.id;
      if (id && rest.length === 0 && form.test(version)) return [id, version];
      throw new AppError(
        'invalid_request',
        `${before}${value}: expected one of ${providerIds.join(', ')} and a version.`,
        { hint: `For example \`${before}codex@0.169.0\`.` },
      );
    }),
  );
}
