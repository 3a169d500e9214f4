/** Credentials in the database, sealed. Generations only grow; a staged one becomes active only by commit. */
import { and, desc, eq, isNull, ne, type SQL } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import { CredentialBundle } from '@airlock/contract/guest';
import type { Log } from '../lib/log.js';
import type { Store } from '../store/store.js';
import { credentials, custody } from './table.js';
import { createBackups } from './backup.js';
import { assertOwnFiles } from './bundle.js';
import { contextOf, dropOthers, lockCustody, nextGeneration, of, type Transaction } from './rows.js';
import type { KeyRing, Seal } from './ring.js';
import { createRotation } from './rotate.js';
import type { CredentialRow, Owner, StagedCredential, Vault } from './vault.js';

export interface VaultDeps {
  store: Pick<Store, 'db'>;
  ring: KeyRing;
  /** A backup names people, because ids differ from database to database. */
  users: { list(): Promise<readonly { id: string; name: string }[]> };
  log: Log;
}

/** The vault on `store` under the keys of `ring`. */
export function createVault({ store, ring, users, log }: VaultDeps): Vault {
  const { db } = store;
  const rotation = createRotation(db, ring, log);

  /** Everything that seals: under one key, in one transaction, one at a time for each credential. */
  const changing = <T>(owner: Owner, work: (tx: Transaction, seal: Seal) => Promise<T>): Promise<T> =>
    ring.sealing((seal) =>
      db.transaction(async (tx) => {
        await lockCustody(tx, owner);
        return work(tx, seal);
      }),
    );

  async function read(row: CredentialRow): Promise<CredentialBundle> {
    return CredentialBundle.parse(JSON.parse(await ring.open(contextOf(row), row.sealed)));
  }

  async function opened(which: SQL | undefined): Promise<StagedCredential | undefined> {
    const [row] = await db.select().from(credentials).where(which);
    return row && { generation: row.lineage, bundle: await read(row) };
  }

  return {
    read,
    ...rotation,
    ...createBackups({ db, ring, users }),

    stage: (owner, bundle) =>
      changing(owner, async (tx, seal) => {
        assertOwnFiles(owner.provider, bundle);
        const { userId, provider, sessionId, method = 'login' } = owner;
        const same = sessionId === null ? isNull(credentials.sessionId) : eq(credentials.sessionId, sessionId);
        await tx.delete(credentials).where(and(of(owner), eq(credentials.state, 'staged'), same));
        const generation = await nextGeneration(tx, owner);
        const row = { userId, provider, sessionId, method, generation, lineage: generation };
        const sealed = await seal(contextOf(row), JSON.stringify(bundle));
        await tx.insert(credentials).values({ ...row, state: 'staged', sealed });
        return { generation };
      }),

    staged: (sessionId) => opened(and(eq(credentials.sessionId, sessionId), eq(credentials.state, 'staged'))),

    active: (userId, provider) => opened(and(of({ userId, provider }), eq(credentials.state, 'active'))),

    async isCommitted(sessionId) {
      const mine = and(eq(credentials.sessionId, sessionId), eq(credentials.state, 'active'));
      return (await db.select({ state: credentials.state }).from(credentials).where(mine)).length > 0;
    },

    commit: (userId, provider, handle) =>
      changing({ userId, provider }, async (tx, seal) => {
        const owner = { userId, provider };
        const rows = await tx.select().from(credentials).where(of(owner));
        const active = rows.find(({ state }) => state === 'active');
        if (active?.lineage === handle) return;
        if (active && active.lineage > handle) {
          throw new AppError(
            'vault_conflict',
            `Sign-in ${handle} of the ${provider} credential is older than the active one (${active.lineage}).`,
          );
        }
        const staged = rows.find(({ state, lineage }) => state === 'staged' && lineage === handle);
        if (!staged)
          throw new AppError('vault_conflict', `Sign-in ${handle} of the ${provider} credential is not in the vault.`);
        const proved = active && active.generation > staged.generation ? await renumber(tx, staged, seal) : staged;
        await dropOthers(tx, proved);
        await tx
          .update(credentials)
          .set({ state: 'active', updatedAt: new Date() })
          .where(and(of(owner), eq(credentials.generation, proved.generation)));
        const accepted = {
          health: 'valid',
          healthReason: 'The CLI accepts it.',
          checkedAt: new Date(),
          error: null,
        } as const;
        await tx.update(custody).set(accepted).where(of(owner, custody));
      }),

    async discard(sessionId) {
      await db.delete(credentials).where(and(eq(credentials.sessionId, sessionId), ne(credentials.state, 'active')));
    },

    writeBack: (owner, vmId, from, bundle) =>
      changing(owner, async (tx, seal) => {
        assertOwnFiles(owner.provider, bundle);
        const [held] = await tx.select().from(custody).where(of(owner, custody));
        const [row] = await tx
          .select()
          .from(credentials)
          .where(and(of(owner), eq(credentials.generation, from)));
        const holds = held?.holderVmId === vmId && held.deliveredGeneration === from && held.delivering === null;
        if (!holds || !row) {
          throw new AppError(
            'vault_conflict',
            `VM ${vmId} has changed generation ${from} of the ${owner.provider} credential, but no longer holds the newest.`,
            { hint: 'What it has is not stored; it is given the newest one again.' },
          );
        }
        const generation = await nextGeneration(tx, owner);
        const next = { ...row, generation, updatedAt: new Date() };
        const sealed = await seal(contextOf(next), JSON.stringify(bundle));
        await tx.delete(credentials).where(and(of(owner), eq(credentials.generation, from)));
        await tx.insert(credentials).values({ ...next, sealed });
        await tx.update(custody).set({ deliveredGeneration: generation }).where(of(owner, custody));
        return generation;
      }),

    remove: (owner) =>
      changing(owner, async (tx) => {
        const gone = await tx.delete(credentials).where(of(owner)).returning({ state: credentials.state });
        if (gone.length === 0) return false;
        await nextGeneration(tx, owner);
        await tx
          .update(custody)
          .set({ health: 'unknown', healthReason: '', checkedAt: null, expiresAt: null, error: null })
          .where(of(owner, custody));
        return true;
      }),

    async discardKey(owner, handle) {
      await db
        .delete(credentials)
        .where(and(of(owner), eq(credentials.state, 'staged'), eq(credentials.lineage, handle)));
    },

    list: async (userId) =>
      db
        .select()
        .from(credentials)
        .where(userId === null ? undefined : eq(credentials.userId, userId))
        .orderBy(credentials.userId, credentials.provider, desc(credentials.generation)),

    stagedKeys: async () =>
      db
        .select()
        .from(credentials)
        .where(and(eq(credentials.state, 'staged'), isNull(credentials.sessionId))),

    custody: async (userId) =>
      db
        .select()
        .from(custody)
        .where(userId === null ? undefined : eq(custody.userId, userId)),

    async note(owner, values) {
      await db.update(custody).set(values).where(of(owner, custody));
    },
  };

  /** A CLI has refreshed the older sign-in meanwhile: the proved one gets a number above that. */
  async function renumber(tx: Transaction, row: CredentialRow, seal: Seal): Promise<CredentialRow> {
    const generation = await nextGeneration(tx, row);
    const next = { ...row, generation };
    const sealed = await seal(contextOf(next), await ring.open(contextOf(row), row.sealed));
    const mine = and(of(row), eq(credentials.generation, row.generation));
    await tx.update(credentials).set({ generation, sealed }).where(mine);
    await tx
      .update(custody)
      .set({ deliveredGeneration: generation })
      .where(and(of(row, custody), eq(custody.deliveredGeneration, row.generation)));
    return { ...next, sealed };
  }
}
