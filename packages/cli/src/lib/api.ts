/** The controller's API as the CLI uses it: found through $AIRLOCK_HOME/controller.json, authorised by $AIRLOCK_HOME/token. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { readSettings } from '@airlock/contract/settings';

/** Written by the controller when it listens. */
const ControllerFile = z.looseObject({ url: z.url(), pid: z.int().positive() });
export type ControllerFile = z.infer<typeof ControllerFile>;

export interface Api extends JsonClient {
  url: string;
  token: string;
}

/** What the controller of this home says about itself, or null when it never started or has stopped in order. */
export async function readControllerFile(home: string): Promise<ControllerFile | null> {
  const text = await readFile(join(home, 'controller.json'), 'utf8').catch(nullIfAbsent);
  if (text === null) return null;
  try {
    return ControllerFile.parse(JSON.parse(text));
  } catch (error) {
    throw new AppError('controller_unreachable', `${join(home, 'controller.json')} is not what a controller writes.`, {
      hint: 'Stop the controller, delete that file, start again with `npm run up`.',
      cause: error,
    });
  }
}

/** For `catch` after reading a file: an absent file is null, anything else is still an error. */
export function nullIfAbsent(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}

/** @throws AppError controller_unreachable when this home has no running controller. */
export async function connect(home: string): Promise<Api> {
  const file = await readControllerFile(home);
  const token = (await readFile(join(home, 'token'), 'utf8').catch(nullIfAbsent))?.trim();
  if (!file || !token) {
    throw new AppError('controller_unreachable', `No controller is running for ${home}.`);
  }
  const name = `the controller at ${file.url}`;
  const client = createJsonClient({ baseUrl: file.url, token, unreachable: 'controller_unreachable', name });
  return { url: file.url, token, ...client };
}

/** Connects, does `work`, and closes the connections again. */
export async function withApi<T>(work: (api: Api) => Promise<T>): Promise<T> {
  const api = await connect(readSettings().AIRLOCK_HOME);
  try {
    return await work(api);
  } finally {
    await api.close();
  }
}
