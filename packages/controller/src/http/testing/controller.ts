/** For tests of http: a listening server on a real store with real users, and calls as a program or a browser makes them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { CredentialSummary, User } from '@airlock/contract/api';
import { pageHeader } from '@airlock/contract/login';
import type { ErrorBody } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { keyProof } from '@airlock/contract/key-proof';
import { createAudit, type Audit } from '../../audit/audit.js';
import { openEmbeddedTestStore, type TestStore } from '../../store/testing.js';
import type { Users } from '../../user/user.js';
import { createPrompts } from '../../prompt/create.js';
import { createConnections } from '../../revocation/connections.js';
import { createRevocation } from '../../revocation/create.js';
import { createUsers } from '../../user/users.js';
import type { HttpDeps, Server } from '../deps.js';
import { newVaultKey } from '../../vault/key.js';
import { createKeyRing } from '../../vault/ring.js';
import { buildServer } from '../server.js';
import {
  createTestCustodian,
  createTestVms,
  createTestVault,
  type EchoServer,
  createTestSessions,
  startEchoServer,
  type TestVms,
  type TestSessions,
} from './stand-ins.js';

export const adminToken = 'A'.repeat(43);

export interface Person {
  user: User;
  token: string;
}

export interface TestController {
  url: string;
  /** Of its pages: the same. */
  origin: string;
  /** A folder that is removed at the end. */
  home: string;
  settings: HttpDeps['settings'];
  users: Users;
  audit: Audit;
  sessions: TestSessions;
  vms: TestVms;
  credentials: CredentialSummary[];
  /** Bytes that play the desktop. */
  desktop: EchoServer;
  /** Everything that was logged. */
  logged(): string;
  admin: Person;
  ada: Person;
  bob: Person;
  /** A further server on the same store, for instance with other settings. */
  another(change: Partial<HttpDeps>): Promise<{ url: string; server: Server }>;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** What a page sends from a browser in which this person has signed in: the cookie, and the page secret beside it. */
  browserOf(person: Person): Promise<BrowserHeaders>;
  /** The proof, for one call, of a caller on the host. */
  proofFor(call: string): Promise<string>;
  close(): Promise<void>;
}

export interface BrowserHeaders extends Record<string, string> {
  cookie: string;
  [pageHeader]: string;
}

export interface CallOptions {
  token?: string | undefined;
  body?: unknown;
  rawBody?: string;
  headers?: Record<string, string>;
  base?: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown> & { error?: ErrorBody };
}

/** A controller for a test file, there from its `beforeAll` on; sessions, VMs and credentials are gone before each test. */
export function useTestController(): TestController {
  const controller = {} as TestController;
  beforeAll(async () => void Object.assign(controller, await startTestController()), 120_000);
  afterAll(() => controller.close(), 30_000);
  beforeEach(() => {
    controller.sessions.clear();
    controller.vms.clear();
    controller.credentials.length = 0;
  });
  return controller;
}

/** What `useTestController` starts, for a program of its own; `close` ends it. */
export async function startTestController(): Promise<TestController> {
  const database: TestStore = await openEmbeddedTestStore();
  const audit = createAudit(database.store);
  const users = await createUsers(database.store, {
    settings: { AIRLOCK_PROXY_PORT_BASE: 10001 },
    adminToken,
    storeAdminToken: (token) => writeFile(homePaths(database.home).token, token),
    audit,
  });
  const echo = await startEchoServer(join(database.home, 'echo.sock'));
  const key = newVaultKey();
  const lines: string[] = [];
  const credentials: CredentialSummary[] = [];
  const vms = createTestVms(echo);
  const sessions = createTestSessions();
  const connections = createConnections();
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const deps: HttpDeps = {
    settings: {
      AIRLOCK_HOST: '127.0.0.1',
      AIRLOCK_PORT: 0,
      AIRLOCK_PUBLIC_URL: undefined,
      AIRLOCK_TRUSTED_PROXIES: [],
      AIRLOCK_MAX_CONNECTIONS: 2000,
      AIRLOCK_USER_STREAMS: 20,
      AIRLOCK_USER_VIEWERS: 8,
      AIRLOCK_CLI_IDLE_S: 900,
    },
    log,
    users,
    audit,
    sessions,
    connections,
    revocation: createRevocation({
      ...{ users, connections, sessions, vms, log },
      vault: { forget: async () => void credentials.splice(0) },
    }),
    vms,
    custodian: createTestCustodian(credentials),
    prompts: createPrompts({
      vms,
      custodian: { list: async () => credentials, sync: async () => [], listen: async () => async () => undefined },
      settings: { AIRLOCK_PROMPT_TIMEOUT_S: 600 },
      log,
    }),
    vault: createTestVault(createKeyRing([key], async () => undefined)),
    describeSystem: async () => ({
      version: '0.1.0',
      startedAt: new Date(0).toISOString(),
      accel: 'tcg',
      accelReason: 'a stand-in',
      network: 'user',
      networkReason: 'a stand-in',
      driver: null,
      driverReason: 'a stand-in',
      imageId: null,
      database: 'pglite',
      clis: [],
      canary: null,
    }),
    dashboardFolder: join(database.home, 'dashboard'),
  };
  const servers: Server[] = [];
  async function listen(own: HttpDeps): Promise<{ url: string; server: Server }> {
    const server = await buildServer(own);
    servers.push(server);
    return { server, url: await server.listen({ host: '127.0.0.1', port: 0 }) };
  }
  const { url } = await listen(deps);
  const admin = await users.byToken(adminToken);
  if (!admin) throw new Error('no admin');
  return {
    url,
    origin: url,
    home: database.home,
    settings: deps.settings,
    users,
    audit,
    sessions: deps.sessions as TestSessions,
    vms: deps.vms as TestVms,
    credentials,
    desktop: echo,
    logged: () => lines.join(''),
    admin: { user: admin, token: adminToken },
    ada: await users.create('ada'),
    bob: await users.create('bob'),
    another: (change) => listen({ ...deps, ...change }),
    call: (method, path, options = {}) => call(options.base ?? url, method, path, options),
    proofFor: async (wanted) => {
      const { json } = await call(url, 'POST', '/api/vault/challenge', { token: adminToken });
      return keyProof(key.bytes, String(json.nonce), wanted);
    },
    browserOf: async ({ user }) => {
      const { token } = await users.createLoginToken(user.id);
      const { cookie, page } = await users.login(token);
      return { cookie: `airlock=${cookie}`, [pageHeader]: page };
    },
    close: async () => {
      await Promise.all(servers.map((server) => server.close()));
      await echo.close();
      await database.close();
    },
  };
}

async function call(base: string, method: string, path: string, options: CallOptions): Promise<Answer> {
  const body = options.rawBody ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const response = await fetch(new URL(path, base), {
    method,
    redirect: 'manual',
    headers: {
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? (JSON.parse(text) as Answer['json']) : {},
  };
}
