/** Brings a controller up in its order and down in the reverse one. What vms are made of is given by the caller. */
import { readFile } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import type { SystemStatus } from '@airlock/contract/api';
import { shownSettings, type Settings } from '@airlock/contract/settings';
import { createAudit, system, type Audit } from './audit/audit.js';
import type { Custodian } from './credential/custodian.js';
import type { HttpDeps } from './http/deps.js';
import { baseUrl } from './http/origin.js';
import { loginUrl } from './http/route/login.js';
import { buildServer, reachOf } from './http/server.js';
import { openHome } from './lib/home.js';
import type { Log } from './lib/log.js';
import { startLoop } from './lib/loop.js';
import { createShutdown } from './lib/shutdown.js';
import { createConnections } from './revocation/connections.js';
import { createRevocation } from './revocation/create.js';
import type { Vms } from './vm/vm.js';
import type { Pool } from './pool/pool.js';
import type { Prompts } from './prompt/prompt.js';
import type { Sessions } from './session/session.js';
import { openStore } from './store/open.js';
import type { Store } from './store/store.js';
import type { Vault } from './vault/vault.js';
import { createUsers } from './user/users.js';
import type { Users } from './user/user.js';

/** What is there before VMs are. */
export interface Foundation {
  store: Store;
  users: Users;
  audit: Audit;
}

export interface Parts {
  vms: Vms;
  pool: Pool;
  sessions: Sessions;
  vault: Vault;
  custodian: Custodian;
  prompts: Prompts;
  describe(): Promise<Omit<SystemStatus, 'version' | 'startedAt' | 'database' | 'vms' | 'lostVmFolders'>>;
}

export interface StartOptions {
  settings: Settings;
  log: Log;
  makeParts(foundation: Foundation): Promise<Parts>;
  /** Something without which nothing works has ended; the process should end too. */
  onFatal(error: AppError): void;
}

export interface Controller {
  url: string;
  /** Signs in as admin, once, within ten minutes. */
  loginUrl: string;
  /** Leaves VMs running, to be adopted by the next start. True: everything ended in time. */
  stop(reason: string): Promise<boolean>;
}

/** Milliseconds for an orderly end: less than anybody who stops a service waits before killing it. */
const shutdownTimeoutMs = 5_000;
const sweepIntervalMs = 10 * 60_000;

/** @throws AppError home_locked, store_failed, port_in_use and whatever the parts need; everything is released again. */
export async function startController(options: StartOptions): Promise<Controller> {
  const { settings, log } = options;
  const shutdown = createShutdown(log, shutdownTimeoutMs);
  try {
    const home = await openHome(settings.AIRLOCK_HOME);
    shutdown.add('lock', home.close);
    const store = await openStore(settings, log, options.onFatal);
    shutdown.add('store', store.close);
    const audit = createAudit(store);
    const keep = { adminToken: home.token, storeAdminToken: home.storeToken };
    const users = await createUsers(store, { settings, audit, ...keep });
    const sweep = { name: 'sweep of tokens', everyMs: sweepIntervalMs, turn: () => users.sweep(), log };
    shutdown.add('sweeper', startLoop(sweep).stop);
    const details = { version: await version(), ...shownSettings(settings) };
    await audit.note({ actor: system, action: 'controller_started', userId: null, details });
    const parts = await options.makeParts({ store, users, audit });
    shutdown.add('vms', () => parts.vms.close());
    shutdown.add('pool', () => parts.pool.close());
    shutdown.add('custodian', () => parts.custodian.close());
    shutdown.add('sessions', () => parts.sessions.close());
    shutdown.add('prompts', () => parts.prompts.close());
    await parts.vms.reconcile();
    await parts.custodian.resume();
    finishRotation(parts.vault, log);
    await parts.sessions.resume();
    parts.pool.begin();
    const connections = createConnections();
    const revocation = createRevocation({ ...parts, users, connections, log });
    shutdown.add('revocation', revocation.close);
    revocation.resume();
    const described = { describeSystem: describer(parts, store) };
    const url = await serve(
      { ...parts, ...described, settings, log, users, audit, connections, revocation },
      shutdown.add,
    );
    await home.announce({ url, pid: process.pid });
    log.info({ url, home: home.path, database: store.kind }, 'ready');
    return { url, loginUrl: await adminLogin(users, home.token, url), stop: shutdown.run };
  } catch (error) {
    await shutdown.run('the start failed');
    throw error;
  }
}

/** A rotation that the last controller did not finish; nothing waits for it, since both keys open. */
function finishRotation(vault: Vault, log: Log): void {
  vault
    .status()
    .then(({ oldKeyIds }) => (oldKeyIds.length > 0 ? vault.rotate() : undefined))
    .catch((error: unknown) => log.error({ err: error }, 'the rotation of the vault key could not be finished'));
}

async function serve(deps: HttpDeps, onStop: (name: string, step: () => Promise<void>) => void): Promise<string> {
  const { AIRLOCK_HOST: host, AIRLOCK_PORT: port } = deps.settings;
  const server = await buildServer(deps);
  onStop('http', () => server.close());
  try {
    await server.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') throw error;
    throw new AppError('port_in_use', `Another program listens on ${host}:${port} already.`, {
      hint: 'Stop it, or choose another port by AIRLOCK_PORT (0: any free one).',
      cause: error,
    });
  }
  return baseUrl(reachOf(server, deps));
}

function describer(parts: Parts, store: Store): HttpDeps['describeSystem'] {
  const startedAt = new Date().toISOString();
  return async () => ({ ...(await parts.describe()), version: await version(), startedAt, database: store.kind });
}

async function version(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function adminLogin(users: Foundation['users'], token: string, url: string): Promise<string> {
  const admin = await users.byToken(token);
  if (!admin) throw new AppError('internal', 'The admin does not exist.');
  const link = await users.createLoginToken(admin.id);
  return loginUrl(url, link.token);
}
