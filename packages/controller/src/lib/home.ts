/** The folder AIRLOCK_HOME: one controller at a time owns it. Holds the lock, the admin's token and the controller's address. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder, writeFileAtomic } from './file.js';
import { takeLock } from './lock.js';
import { newSecret } from './secret.js';

export const homeFiles = {
  lock: 'controller.lock',
  token: 'token',
  controller: 'controller.json',
} as const;

/** `$AIRLOCK_HOME/controller.json`: where a running controller is found. */
const ControllerFile = z.object({ url: z.string(), pid: z.int().positive() });
export type ControllerFile = z.infer<typeof ControllerFile>;

export interface Home {
  path: string;
  /** The admin's API token. */
  token: string;
  /** Tells other programs of this user where the controller listens. */
  announce(address: ControllerFile): Promise<void>;
  /** Withdraws the address and lets the next controller in. Idempotent. */
  close(): Promise<void>;
}

/**
 * Creates the folder when it is missing and takes it for this process.
 * @throws AppError home_locked when another controller has it.
 */
export async function openHome(path: string): Promise<Home> {
  await makePrivateFolder(path);
  const controllerFile = join(path, homeFiles.controller);
  const lock = await takeLock(join(path, homeFiles.lock));
  if (!lock) throw await homeLocked(path);
  let closed = false;
  try {
    await rm(controllerFile, { force: true });
    const token = await readOrCreateToken(join(path, homeFiles.token));
    return {
      path,
      token,
      announce: (address) => writeFileAtomic(controllerFile, `${JSON.stringify(address)}\n`),
      close: async () => {
        if (closed) return;
        closed = true;
        await rm(controllerFile, { force: true });
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The address in `$AIRLOCK_HOME/controller.json`, or undefined when there is none. */
export async function readControllerFile(path: string): Promise<ControllerFile | undefined> {
  try {
    return ControllerFile.parse(JSON.parse(await readFile(join(path, homeFiles.controller), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function homeLocked(path: string): Promise<AppError> {
  const holder = await readControllerFile(path);
  const who = holder ? `the controller with process id ${holder.pid} (${holder.url})` : 'another controller';
  return new AppError('home_locked', `${path} is in use by ${who}.`, {
    hint: 'Stop that controller, or give this one its own folder by AIRLOCK_HOME.',
    ...(holder && { details: { pid: holder.pid, url: holder.url } }),
  });
}

/** 32 random bytes, base64url; kept for ever, so that scripts which read the file go on working. */
async function readOrCreateToken(path: string): Promise<string> {
  try {
    const token = (await readFile(path, 'utf8')).trim();
    if (token.length >= 32) return token;
    throw new AppError('config_invalid', `${path} holds ${token.length} characters; a token has at least 32.`, {
      hint: 'Remove the file: the next start makes a new token.',
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const token = newSecret();
  await writeFileAtomic(path, `${token}\n`);
  return token;
}
