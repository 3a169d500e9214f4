/** The coding CLIs of this project: of each provider what its file says of the image, with version and checksum of the lock file. */
import { AppError } from '@airlock/contract/errors';
import type { ProviderImage, ProviderVersion } from '@airlock/contract/provider/facts';
import type { Provider, ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import type { NpmLock } from './clis.js';

export interface Cli extends ProviderImage {
  id: ProviderId;
  version: string;
  /** SHA-512 of the package that is installed, as npm writes it. */
  integrity: string;
  /** Must be on PATH, and tell this very version when it is asked so. */
  command: string;
  tells: Pick<ProviderVersion, 'argv' | 'env'>;
}

/** The package that is installed for a CLI, whose name in the tree is `package`. */
export const installedPackage = (cli: ProviderImage): string => cli.native?.package ?? cli.package;

/** What npm is asked for under the name `package`: a version, or another package's. */
export const npmSpec = (cli: ProviderImage & Pick<Cli, 'version'>): string =>
  cli.native ? `npm:${cli.native.package}@${cli.version}` : cli.version;

/** What the lock file says of the package that is installed for a CLI; undefined when it has none, or another in its place. */
export function findLocked(lock: NpmLock, cli: ProviderImage): Pick<Cli, 'version' | 'integrity'> | undefined {
  const { name = cli.package, version, integrity } = lock.packages[`node_modules/${cli.package}`] ?? {};
  return name === installedPackage(cli) && version && integrity ? { version, integrity } : undefined;
}

/** A CLI as the lock file pins it. @throws AppError image_build_failed when it does not. */
export function lockedCli<T extends ProviderImage>(lock: NpmLock, cli: T): T & Pick<Cli, 'version' | 'integrity'> {
  const locked = findLocked(lock, cli);
  if (locked) return { ...cli, ...locked };
  throw new AppError('image_build_failed', `The lock file of the CLIs says nothing of ${installedPackage(cli)}.`, {
    hint: 'Run `npm run clis`, which asks npm’s registry and writes packages/image-builder/clis.lock.json.',
  });
}

export function cliOf({ id, program, image, version: { argv, env } }: Provider): Omit<Cli, 'version' | 'integrity'> {
  return { ...image, id, command: program, tells: { argv, ...(env && { env }) } };
}

/** All CLIs, in the versions of a lock file. @throws AppError image_build_failed when it lacks one. */
export const clisOf = (lock: NpmLock): Cli[] => Object.values(providers).map((one) => lockedCli(lock, cliOf(one)));
