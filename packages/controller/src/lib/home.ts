/** The folder AIRLOCK_HOME: one controller at a time owns it. Holds the lock, the admin's token and the controller's address. */
import { rm } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import { makePrivateFolder, replaceFile } from '@airlock/contract/file';
import { homePaths, readControllerFile, readToken, type ControllerFile } from '@airlock/contract/home';
import { whyNotWritable } from '@airlock/contract/writable';
import { takeLock } from './lock.js';
import { newSecret } from './secret.js';

export interface Home {
  path: string;
  /** The admin's API token. */
  token: string;
  /** Puts another one in its place, in one step. */
  storeToken(token: string): Promise<void>;
  /** Tells other programs of this user where the controller listens. */
  announce(address: ControllerFile): Promise<void>;
  /** Withdraws the address and lets the next controller in. Idempotent. */
  close(): Promise<void>;
}

/**
 * Creates the folder when it is missing and takes it for this process.
 * @throws AppError home_locked when another controller has it, not_writable
 */
export async function openHome(path: string): Promise<Home> {
  const refused = await whyNotWritable(path, 'AIRLOCK_HOME');
  if (refused) throw refused;
  await makePrivateFolder(path);
  const { controllerFile, controllerLock } = homePaths(path);
  const lock = await takeLock(controllerLock);
  if (!lock) throw await homeLocked(path);
  let closed = false;
  try {
    await rm(controllerFile, { force: true });
    const token = await readOrCreateToken(path);
    return {
      path,
      token,
      storeToken: (next) => storeToken(path, next),
      announce: (address) => replaceFile(controllerFile, `${JSON.stringify(address)}\n`),
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

async function homeLocked(path: string): Promise<AppError> {
  const holder = await readControllerFile(path);
  const who = holder ? `the controller with process id ${holder.pid} (${holder.url})` : 'another controller';
  return new AppError('home_locked', `${path} is in use by ${who}.`, {
    hint: 'Stop that controller, or give this one its own folder by AIRLOCK_HOME.',
    ...(holder && { details: { pid: holder.pid, url: holder.url } }),
  });
}

/** 32 random bytes, base64url; kept until somebody rotates it, so that scripts which read the file go on working. */
async function readOrCreateToken(home: string): Promise<string> {
  const path = homePaths(home).token;
  const known = await readToken(home);
  if (known !== null && known.length >= 32) return known;
  if (known !== null) {
    throw new AppError('config_invalid', `${path} holds ${known.length} characters; a token has at least 32.`, {
      hint: 'Remove the file: the next start makes a new token.',
    });
  }
  const token = newSecret();
  await storeToken(home, token);
  return token;
}

const storeToken = (home: string, token: string): Promise<void> => replaceFile(homePaths(home).token, `${token}\n`);
