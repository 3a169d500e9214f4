/** What the HTTP server is given, and the type of the server that routes are added to. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { SystemStatus } from '@airlock/contract/api';
import type { Settings } from '@airlock/contract/settings';
import type { Audit } from '../audit/audit.js';
import type { Custodian } from '../credential/custodian.js';
import type { Log } from '../lib/log.js';
import type { Connections } from '../revocation/connections.js';
import type { Revocation } from '../revocation/revocation.js';
import type { Vms } from '../vm/vm.js';
import type { Prompts } from '../prompt/prompt.js';
import type { Sessions } from '../session/session.js';
import type { Users } from '../user/user.js';
import type { Vault } from '../vault/vault.js';
import type { Patience, Sockets } from './sockets.js';

declare module 'fastify' {
  interface FastifyInstance {
    sockets: Sockets;
  }
}

export interface HttpDeps {
  settings: Pick<
    Settings,
    | 'AIRLOCK_HOST'
    | 'AIRLOCK_PORT'
    | 'AIRLOCK_PUBLIC_URL'
    | 'AIRLOCK_TRUSTED_PROXIES'
    | 'AIRLOCK_MAX_CONNECTIONS'
    | 'AIRLOCK_USER_STREAMS'
    | 'AIRLOCK_USER_VIEWERS'
    | 'AIRLOCK_CLI_IDLE_S'
  >;
  log: Log;
  users: Users;
  audit: Audit;
  revocation: Revocation;
  /** The one that `revocation` ends. */
  connections: Connections;
  sessions: Sessions;
  vms: Vms;
  custodian: Pick<Custodian, 'list' | 'check' | 'remove' | 'setApiKey' | 'syncAll' | 'unconfirmed'>;
  vault: Pick<Vault, 'backup' | 'restore' | 'status' | 'rotate' | 'keyProofs'>;
  prompts: Pick<Prompts, 'prepare'>;
  /** The part of `GET /api/system` that does not come from vms. */
  describeSystem(): Promise<Omit<SystemStatus, 'vms' | 'lostVmFolders'>>;
  /** Folder of the built dashboard; packages/dashboard/dist by default. */
  dashboardFolder?: string;
  /** Milliseconds between signs of life: comments in an event stream, pings to the viewer of a desktop; 15 s by default. */
  heartbeatMs?: number;
  /** Milliseconds without a byte of an upload after which it is given up; a minute by default. */
  uploadSilenceMs?: number;
  patience?: Patience;
}

export type Server = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;
