/** The coding CLIs of this project: of each provider what its file says of the image, with version and checksum of the lock file. */
import { AppError } from '@airlock/contract/errors';
import type { ProviderImage, ProviderVersion } from '@airlock/contract/provider/facts';
import type { Provider, ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import type { NpmLock } from './clis.js';

export interface Cli extends ProviderImage {
  id: ProviderId;
  version: string;
  /** SHA-512 of the package as npm writes it. */
  integrity: string;
  /** Must be on PATH, and tell this very version when it is asked so. */
  command: string;
  tells: Pick<ProviderVersion, 'argv' | 'env'>;
}

/** What the lock file says of a CLI's own package. @throws AppError image_build_failed when it does not name it. */
export function lockedCli<T extends Pick<Cli, 'package'>>(
  lock: NpmLock,
  cli: T,
): T & Pick<Cli, 'version' | 'integrity'> {
  const { version, integrity } = lock.packages[`node_modules/${cli.package}`] ?? {};
  if (version && integrity) return { ...cli, version, integrity };
  throw new AppError('image_build_failed', `The lock file of the CLIs says nothing of ${cli.package}.`, {
    hint: 'Run `npm run clis`, which asks npm’s registry and writes packages/image-builder/clis.lock.json.',
  });
}

export function cliOf({ id, program, image, version: { argv, env } }: Provider): Omit<Cli, 'version' | 'integrity'> {
  return { ...image, id, command: program, tells: { argv, ...(env && { env }) } };
}

/** All CLIs, in the versions of a lock file. @throws AppError image_build_failed when it lacks one. */
export const clisOf = (lock: NpmLock): Cli[] => Object.values(providers).map((one) => lockedCli(lock, cliOf(one)));
