/**
 * `npm run clis`: writes clis.lock.json, which pins the CLIs of this project: versions that are asked for, the newest of a provider
 * that is new, and the others as they are. Asks npm's registry.
 */
import { replaceFile } from '@airlock/contract/file';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import { cliOf, findLocked, type Cli } from './cli.js';
import { readLock, resolveClis, type NpmLock } from './clis.js';
import { projectLock } from './inputs.js';

/** `versions` by provider; `*` means the newest that runs on this Node. Answers the CLIs that are pinned now. */
export async function writeProjectLock(
  versions: Readonly<Partial<Record<ProviderId, string>>>,
  signal: AbortSignal,
): Promise<readonly Cli[]> {
  const lock = await readLock(projectLock);
  const clis = Object.values(providers).map((provider): Cli => {
    const { version = '*', integrity = '' } = lock.packages[`node_modules/${provider.image.package}`] ?? {};
    return { ...cliOf(provider), version, integrity };
  });
  const resolved = await resolveClis({ clis, lock: withoutOthers(lock, clis) }, versions, signal);
  await replaceFile(projectLock, `${JSON.stringify(resolved.lock, null, 2)}\n`);
  return resolved.clis;
}

/** Without what stands in the place of a CLI's package and is another one, which npm would go on with. Pure. */
export function withoutOthers(lock: NpmLock, clis: readonly Cli[]): NpmLock {
  const others = clis.filter((cli) => !findLocked(lock, cli)).map((cli) => `node_modules/${cli.package}`);
  const isOther = (path: string): boolean => others.some((other) => path === other || path.startsWith(`${other}/`));
  return { ...lock, packages: Object.fromEntries(Object.entries(lock.packages).filter(([path]) => !isOther(path))) };
}
