/** For tests of sessions: a person at a desk, with a real database and vault, scripted VMs, and a controller that can be killed. */
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest';
import { readSettings } from '@airlock/contract/settings';
import type { Session } from '@airlock/contract/session';
import { openEmbeddedTestStore, silentLog, type TestStore } from '../../store/testing.js';
import { createAudit } from '../../audit/audit.js';
import { createUsers } from '../../user/users.js';
import { createCustodian } from '../../credential/create.js';
import type { Custodian } from '../../credential/custodian.js';
import { createCredentialGuard, type CredentialGuard } from '../../credential/guard.js';
import { testVault } from '../../vault/testing.js';
import { newVaultKey } from '../../vault/key.js';
import { createKeyRing } from '../../vault/ring.js';
import type { Vault } from '../../vault/vault.js';
import { createSessions } from '../create.js';
import type { Sessions } from '../session.js';
import { bundleOf, tokenOf } from '../../vault/testing.js';
import { createTestHost, type TestHost } from './host.js';

export interface Desk {
  store: TestStore;
  vault: Vault;
  host: TestHost;
  sessions: Sessions;
  custodian: Custodian;
  close(): Promise<void>;
  /** Id of the user. */
  ada: string;
  /** A controller that was killed and started again: the old one does nothing any more, the new one finds the rows. */
  restart(): Promise<void>;
  /** Waits until the session has this status (and more). */
  until(id: string, status: Session['status'], more?: (session: Session) => boolean): Promise<Session>;
  /** The CLI has opened its sign-in page. */
  openPage(): void;
  /** The CLI has written its credential and ended well. */
  finishLogin(token: string): void;
  /** Starts a sign-in, until the person's turn; answers its id. */
  startSignIn(): Promise<string>;
  signIn(token: string): Promise<Session>;
  /** What the vault holds as active. */
  storedToken(): Promise<string | undefined>;
  /** What the CLI VM holds. */
  cliToken(): string | undefined;
}

/** One for a test file; all but the database is new before each test. `env`: more settings. */
export function useDesk(env: Record<string, string> = {}): Desk {
  let guard: CredentialGuard;
  const open = (): void => {
    const settings = readSettings({ AIRLOCK_HOME: '/nowhere', AIRLOCK_CREDENTIAL_POLL_S: '1', ...env });
    const shared = { vms: desk.host.vms, vault: desk.vault, settings, log: silentLog };
    desk.custodian = createCustodian({ ...shared, guard });
    const often = { bootBoundMs: 480_000, pollMs: 5, sweepMs: 50 };
    const { store } = desk.store;
    desk.sessions = createSessions({
      pool: { take: async () => undefined },
      ...{ ...shared, ...often, custodian: desk.custodian, store, audit: createAudit(store) },
    });
  };

  const desk = {
    async close() {
      await desk.sessions.close();
      await desk.custodian.close();
    },

    async restart() {
      await desk.close();
      open();
      await desk.custodian.resume();
      await desk.sessions.resume();
    },

    async until(id, status, more = () => true) {
      return vi.waitFor(
        async () => {
          const session = await desk.sessions.get(desk.ada, id);
          if (session.status === status && more(session)) return session;
          throw new Error(`The session is ${session.status}: ${JSON.stringify(session)}`);
        },
        { timeout: 8000, interval: 5 },
      );
    },

    openPage() {
      const vm = desk.host.vm('browser');
      vm.login = { ...vm.login, state: 'browser_opened' };
    },

    finishLogin(token) {
      const vm = desk.host.vm('browser');
      vm.credential = bundleOf(token);
      vm.login = { ...vm.login, state: 'succeeded', exitCode: 0 };
    },

    async startSignIn() {
      const { id } = await desk.sessions.start(desk.ada, 'codex');
      await desk.until(
        id,
        'ready',
        ({ steps }) => steps.find(({ name }) => name === 'login_page')?.status === 'running',
      );
      desk.openPage();
      await desk.until(id, 'awaiting_user_auth');
      return id;
    },

    async signIn(token) {
      const id = await desk.startSignIn();
      desk.finishLogin(token);
      return desk.until(id, 'completed');
    },

    async storedToken() {
      return tokenOf((await desk.vault.active(desk.ada, 'codex'))?.bundle);
    },

    cliToken() {
      return tokenOf(desk.host.vm('cli').credential);
    },
  } as Desk;

  beforeAll(async () => {
    desk.store = await openEmbeddedTestStore();
    const ring = createKeyRing([newVaultKey()], async () => undefined);
    desk.vault = testVault(desk.store.store, ring);
  }, 120_000);
  afterAll(() => desk.store.close(), 30_000);
  beforeEach(async () => {
    await desk.store.empty();
    const settings = { AIRLOCK_PROXY_PORT_BASE: 10001 };
    const users = await createUsers(desk.store.store, {
      ...{ settings, adminToken: 'A'.repeat(43), storeAdminToken: async () => undefined },
      audit: createAudit(desk.store.store),
    });
    desk.ada = (await users.create('ada')).user.id;
    guard = createCredentialGuard({ vault: desk.vault, log: silentLog });
    desk.host = createTestHost(guard);
    open();
    await desk.custodian.resume();
  });
  afterEach(() => desk.close());
  return desk;
}
