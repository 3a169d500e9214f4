/** Credentials in the database, sealed. Generations only grow; a staged one becomes active only by commit. */
import { and, desc, eq, lt, max, ne } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import { CredentialBundle } from '@airlock/contract/guest';
import type { Store } from '../store/store.js';
import { credentials } from '../store/schema.js';
import { openText, sealText, type VaultKey } from './jwe.js';
import type { Vault } from './vault.js';

const contextOf = (row: { userId: string; provider: string; generation: number }): string =>
  `credential/${row.userId}/${row.provider}/${row.generation}`;

/** The vault on `store` under `key`. */
export function createVault(store: Pick<Store, 'db'>, key: VaultKey): Vault {
  const { db } = store;

  return {
    async stage(owner, bundle) {
      return db.transaction(async (tx) => {
        await tx
          .delete(credentials)
          .where(and(eq(credentials.sessionId, owner.sessionId), eq(credentials.state, 'staged')));
        const mine = and(eq(credentials.userId, owner.userId), eq(credentials.provider, owner.provider));
        const [newest] = await tx
          .select({ generation: max(credentials.generation) })
          .from(credentials)
          .where(mine);
        const row = { ...owner, generation: (newest?.generation ?? 0) + 1 };
        const sealed = await sealText(key, contextOf(row), JSON.stringify(bundle));
        await tx.insert(credentials).values({ ...row, state: 'staged', sealed });
        return { generation: row.generation };
      });
    },

    async staged(sessionId) {
      const [row] = await db
        .select()
        .from(credentials)
        .where(and(eq(credentials.sessionId, sessionId), eq(credentials.state, 'staged')));
      if (!row) return undefined;
      const bundle = CredentialBundle.parse(JSON.parse(await openText(key, contextOf(row), row.sealed)));
      return { generation: row.generation, bundle };
    },

    async commit(userId, provider, generation) {
      await db.transaction(async (tx) => {
        const mine = and(eq(credentials.userId, userId), eq(credentials.provider, provider));
        const [newest] = await tx
          .select()
          .from(credentials)
          .where(and(mine, eq(credentials.state, 'active')))
          .orderBy(desc(credentials.generation))
          .limit(1);
        if (newest && newest.generation > generation) {
          throw new AppError(
            'vault_conflict',
            `Generation ${generation} of the ${provider} credential is older than the active one (${newest.generation}).`,
          );
        }
        await tx.delete(credentials).where(and(mine, lt(credentials.generation, generation)));
        const updated = await tx
          .update(credentials)
          .set({ state: 'active', updatedAt: new Date() })
          .where(and(mine, eq(credentials.generation, generation)))
          .returning({ generation: credentials.generation });
        if (updated.length === 0)
          throw new AppError(
            'vault_conflict',
            `Generation ${generation} of the ${provider} credential is no longer in the vault.`,
          );
      });
    },

    async discard(sessionId) {
      await db.delete(credentials).where(and(eq(credentials.sessionId, sessionId), ne(credentials.state, 'active')));
    },

    async list(userId) {
      const rows = await db
        .select()
        .from(credentials)
        .where(eq(credentials.userId, userId))
        .orderBy(credentials.provider, desc(credentials.generation));
      return rows.map(({ provider, generation, state, updatedAt }) => ({
        provider,
        generation,
        state,
        updatedAt: updatedAt.toISOString(),
      }));
    },

    seal: (purpose, secret) => sealText(key, purpose, secret),
    open: (purpose, sealed) => openText(key, purpose, sealed),
  };
}
