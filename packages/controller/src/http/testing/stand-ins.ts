/** For tests of http: sessions and vms in memory, because the real ones need VMs. Everything else is real there. */
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { connectBulk, type BulkSocket } from '@airlock/contract/bulk-socket';
import { AppError } from '@airlock/contract/errors';
import type { CredentialSummary } from '@airlock/contract/api';
import type { CheckName } from '@airlock/contract/guest';
import { newId } from '@airlock/contract/ids';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { isFinal, sessionSteps, type Session, type StepName } from '@airlock/contract/session';
import type { Vms, VmRow } from '../../vm/vm.js';
import { exampleVm, standInVms } from '../../vm/testing.js';
import type { Sessions } from '../../session/session.js';
import { createKeyProofs } from '../../vault/proof.js';
import type { KeyRing } from '../../vault/ring.js';
import type { HttpDeps } from '../deps.js';

export interface TestSessions extends Sessions {
  /** Changes a session as its driver would. */
  change(sessionId: string, change: Partial<Session>): void;
  listeners(sessionId: string): number;
  /** Codes that were typed, and sessions whose desktop was used, in order. */
  codes: string[];
  activity: string[];
  clear(): void;
}

export function createTestSessions(): TestSessions {
  const all = new Map<string, { userId: string; session: Session; listeners: Set<(session: Session) => void> }>();
  const codes: string[] = [];
  const activity: string[] = [];
  function find(userId: string, id: string) {
    const found = all.get(id);
    if (found?.userId === userId) return found;
    throw new AppError('not_found', `There is no session ${id}.`);
  }
  function change(id: string, values: Partial<Session>): Session {
    const found = all.get(id);
    if (!found) throw new Error(`no session ${id}`);
    found.session = { ...found.session, revision: found.session.revision + 1, ...values };
    found.listeners.forEach((listener) => listener(found.session));
    return found.session;
  }
  return {
    start: async (userId, provider) => {
      const busy = [...all.values()].some((one) => one.userId === userId && one.session.provider === provider);
      if (busy) throw new AppError('session_busy', 'A sign-in for this provider is already under way.');
      const session = newSession(provider);
      all.set(session.id, { userId, session, listeners: new Set() });
      return session;
    },
    get: async (userId, id) => find(userId, id).session,
    list: async (userId) =>
      [...all.values()].flatMap((one) => (one.userId === userId ? [one.session] : [])).toReversed(),
    cancel: async (userId, id) => {
      if (isFinal(find(userId, id).session.status)) throw new AppError('session_finished', 'It has ended.');
      return change(id, { status: 'cancelled' });
    },
    extend: async (userId, id) => {
      if (isFinal(find(userId, id).session.status)) throw new AppError('session_finished', 'It has ended.');
      return change(id, { expiresAt: new Date(Date.now() + 300_000).toISOString() });
    },
    restartLogin: async (userId, id, method) => {
      find(userId, id);
      return change(id, { status: 'ready', login: { method, deviceCode: null, takesCode: false } });
    },
    typeCode: async (userId, id, code) => {
      const { session } = find(userId, id);
      codes.push(code);
      return session;
    },
    noteActivity: (id) => void activity.push(id),
    subscribe: async (userId, id, listener) => {
      const { listeners, session } = find(userId, id);
      listeners.add(listener);
      listener(session);
      return () => void listeners.delete(listener);
    },
    endAll: async () => undefined,
    cancelAll: async (userId) => {
      const open = [...all.values()].filter((one) => one.userId === userId && !isFinal(one.session.status));
      open.forEach(({ session }) => change(session.id, { status: 'cancelled' }));
    },
    forget: async (userId) => {
      for (const [id, one] of all) if (one.userId === userId) all.delete(id);
    },
    resume: async () => undefined,
    close: async () => undefined,
    change,
    codes,
    activity,
    listeners: (id) => all.get(id)?.listeners.size ?? 0,
    clear: () => all.clear(),
  };
}

function newSession(provider: ProviderId): Session {
  const id = newId('ses');
  const now = new Date().toISOString();
  const steps = Object.entries(sessionSteps).map(([name, title]) => ({
    name: name as StepName,
    title,
    status: 'waiting' as const,
    startedAt: null,
    finishedAt: null,
    detail: null,
  }));
  return {
    id,
    sessionId: id,
    provider,
    status: 'pending',
    revision: 0,
    createdAt: now,
    updatedAt: now,
    deadlineAt: null,
    expiresAt: null,
    expiresAtMost: null,
    destroyAt: null,
    browserVmId: null,
    cliVmId: null,
    desktopReady: false,
    steps,
    login: null,
    notice: null,
    error: null,
  };
}

export interface TestVms extends Vms {
  add(userId: string, values?: Partial<VmRow>): VmRow;
  /** Connections to desktops that are open now. */
  desktops: Set<Socket>;
  /** Names of the checks that ran. */
  checks: CheckName[];
  clear(): void;
}

/** Vms whose desktops are connections to `target`, a server on a local socket. */
export function createTestVms(target: EchoServer): TestVms {
  const rows = new Map<string, VmRow>();
  const desktops = new Set<Socket>();
  const checks: CheckName[] = [];
  function add(userId: string, values: Partial<VmRow> = {}): VmRow {
    const row = { ...exampleVm(userId), ...values };
    rows.set(row.id, row);
    return row;
  }
  async function openDesktop(): Promise<BulkSocket> {
    const socket = connectBulk({ path: target.path });
    await once(socket, 'connect');
    desktops.add(socket);
    socket.once('close', () => desktops.delete(socket));
    return socket;
  }
  const keep = { all: () => [...rows.values()], put: (row: VmRow) => rows.set(row.id, row) };
  const played: Partial<Vms> = {
    createBrowser: async ({ userId, sessionId, destroyAt }, noted) => {
      const row = add(userId, { sessionId, destroyAt, state: 'creating' });
      await noted?.(row);
      return row;
    },
    ensureCli: async (userId) => add(userId, { kind: 'cli' }),
    runCheck: async (_id, name) => {
      checks.push(name);
      return { name, ok: true, exitCode: 0, output: 'v20', durationMs: 1 };
    },
    openDesktop,
    destroy: async (id) => void rows.delete(id),
    stopAll: async () => rows.clear(),
  };
  return { ...standInVms(keep, played), add, desktops, checks, clear: () => rows.clear() };
}

export interface EchoServer {
  path: string;
  /** Newest connection from a VM. */
  connections: Socket[];
  close(): Promise<void>;
}

/** Plays the desktop: greets like an RFB server, then sends back what comes. */
export async function startEchoServer(path: string): Promise<EchoServer> {
  const connections: Socket[] = [];
  const server: Server = createServer((socket) => {
    connections.push(socket);
    socket.write('RFB 003.008\n');
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    path,
    connections,
    close: async () => {
      connections.forEach((socket) => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  };
}

export const exampleCredential: CredentialSummary = {
  provider: 'codex',
  generation: 1,
  state: 'active',
  method: 'login',
  updatedAt: new Date().toISOString(),
  health: 'valid',
  healthReason: 'The CLI accepts it.',
  lastCheckedAt: null,
  expiresAt: null,
  holderVmId: null,
  copy: 'newest',
  copyReason: '',
  error: null,
};

/** A custodian of the given credentials, whoever asks. */
export function createTestCustodian(credentials: CredentialSummary[]): HttpDeps['custodian'] {
  const missing = (): never => {
    throw new AppError('not_found', 'There is no such credential.');
  };
  return {
    list: async () => credentials,
    check: async ({ provider }) => credentials.find((one) => one.provider === provider) ?? missing(),
    remove: async (owner, noted) => {
      const { provider } = owner;
      const at = credentials.findIndex((one) => one.provider === provider);
      if (at < 0) missing();
      credentials.splice(at, 1);
      await noted?.(owner);
      return { cliVm: 'pending' };
    },
    setApiKey: async ({ provider }, key) => {
      if (!key.startsWith('sk-')) throw new AppError('invalid_request', 'This does not look like an API key.');
      credentials.push({ ...exampleCredential, provider, generation: 2, state: 'staged', method: 'api_key' });
      return { lineage: 2 };
    },
    syncAll: async () => undefined,
    unconfirmed: async () => 0,
  };
}

/** A vault with one key and nothing in it. */
export function createTestVault({ proves }: Pick<KeyRing, 'proves'>): HttpDeps['vault'] {
  const status = { keyId: 'key', oldKeyIds: [], sealed: 0, underOldKeys: 0, lost: 0 };
  return {
    backup: async () => ({ backup: 'sealed', credentials: 0, homeKeys: 0 }),
    restore: async () => [{ name: 'ada/codex', result: 'kept', reason: null }],
    keyProofs: createKeyProofs(proves),
    status: async () => status,
    rotate: async () => status,
  };
}
