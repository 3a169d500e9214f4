/** The programs of a jail: those that the administrator has named, as they are on this host. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import type { JailRequest } from '@airlock/contract/privileged';
import { jailerOf } from './command.js';

/** Absolute path of the program that is asked for. @throws AppError invalid_request, vmm_missing, vmm_unsuitable */
export async function requireProgram(allowed: readonly string[], request: JailRequest): Promise<string> {
  const path = allowed.find((one) => basename(one) === request.program);
  if (path === undefined) {
    throw new AppError('invalid_request', `${request.program} is not among the programs that this helper starts.`, {
      hint: 'They are named in its unit: --programs.',
    });
  }
  await requireRoots(path);
  if (request.names) await requireRoots(jailerOf(path));
  return path;
}

/** Root runs it, or lets it run where root looks: nobody else may have written it. */
async function requireRoots(path: string): Promise<void> {
  const found = await stat(path).catch(nullIfAbsent);
  if (found?.isFile() !== true || (found.mode & 0o111) === 0) {
    throw new AppError('vmm_missing', `There is no program ${path} on this host.`, {
      hint: 'Install it, or give the privileged helper its path: --programs in its unit.',
    });
  }
  if (found.uid === 0 && (found.mode & 0o022) === 0) return;
  throw new AppError('vmm_unsuitable', `${path} can be changed by others than root, and is not started by root.`, {
    hint: `As root: chown root:root ${path} && chmod 0755 ${path}, once it is sure who has made it.`,
  });
}
