/** The controller's API as the CLI uses it: found through $AIRLOCK_HOME/controller.json, authorised by $AIRLOCK_HOME/token. */
import { AppError } from '@airlock/contract/errors';
import { homePaths, readControllerFile, readToken } from '@airlock/contract/home';
import { createJsonClient, type StreamingClient } from '@airlock/contract/http-client';
import { proveKey } from '@airlock/contract/key-proof';
import { readSettings } from '@airlock/contract/settings';

/** In a stream of events the controller gives a sign of life every 15 s; milliseconds of silence after which it is given up. */
export const silenceMs = 60_000;

export interface Api extends StreamingClient {
  url: string;
  token: string;
}

/** @throws AppError controller_unreachable when this home has no running controller. */
export async function connect(home: string): Promise<Api> {
  const file = await readControllerFile(home);
  const token = await readToken(home);
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

/** The proof, for one call such as `POST /api/vault/backup`, that whoever runs this can read the vault key. @throws AppError forbidden */
export function proveFor(api: Api, call: string): Promise<string> {
  const { AIRLOCK_HOME: home, AIRLOCK_VAULT_KEY_FILE: elsewhere } = readSettings();
  return proveKey(api, elsewhere ?? homePaths(home).vaultKey, call);
}
