/** What happens to a credential after it was proved: its CLI refreshes it, or the person removes it. */
import type { Noted } from '../audit/audit.js';
import { and, eq } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { CredentialBundle } from '@airlock/contract/guest';
import { changing, judged, type VaultContext } from './context.js';
import { contextOf, nextGeneration, of } from './rows.js';
import { credentials, custody } from './table.js';
import type { Owner } from './vault.js';

/** `vmId` and `from`: the VM, and the generation that its CLI has refreshed. */
export function writeBack(
  ctx: VaultContext,
  owner: Owner,
  { vmId, from }: { vmId: string; from: number },
  bundle: CredentialBundle,
): Promise<number> {
  return changing(ctx, owner, async (tx, seal) => {
    const own = judged(ctx, owner, bundle);
    const [held] = await tx.select().from(custody).where(of(owner, custody));
    const refreshed = and(of(owner), eq(credentials.generation, from));
    const [row] = await tx.select().from(credentials).where(refreshed);
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
    const sealed = await seal(contextOf(next), JSON.stringify(own));
    await tx.delete(credentials).where(refreshed);
    await tx.insert(credentials).values({ ...next, sealed });
    await tx.update(custody).set({ deliveredGeneration: generation }).where(of(owner, custody));
    return generation;
  });
}

export function remove(ctx: VaultContext, owner: Owner, noted?: Noted<Owner>): Promise<boolean> {
  return changing(ctx, owner, async (tx) => {
    const gone = await tx.delete(credentials).where(of(owner)).returning({ state: credentials.state });
    if (gone.length === 0) return false;
    await nextGeneration(tx, owner);
    await tx
      .update(custody)
      .set({ health: 'unknown', healthReason: '', checkedAt: null, expiresAt: null, error: null })
      .where(of(owner, custody));
    await noted?.(owner, tx);
    return true;
  });
}
