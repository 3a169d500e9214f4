/** Restoring a backup, judged as what comes out of a VM: never replaces what is newer here, nor what can be opened and is as new. */
import { eq, sql } from 'drizzle-orm';
import { z } from 'zod';
import { AppError, type ErrorCode } from '@airlock/contract/errors';
import { VmId } from '@airlock/contract/ids';
import { ProviderId } from '@airlock/contract/provider/provider';
import { plainText } from '@airlock/contract/received';
import type { Noted } from '../audit/audit.js';
import type { Transaction } from '../store/store.js';
import { BackedUp, BackedUpHomeKey, openBackup, whereIn } from './backup-file.js';
import { changing, judged, type VaultContext } from './context.js';
import { homeContext } from './home-key.js';
import { contextOf, of } from './rows.js';
import { credentials, custody, homeKeys } from './table.js';
import type { CredentialRow, Owner, RestoreResult, RestoredEntry } from './vault.js';

/** `homes`: VMs that have a home now; the key of another one is not brought back. One bad entry keeps no other from being restored. `noted`: of each credential that is. */
export async function restore(
  ctx: VaultContext,
  { passphrase, backup }: { passphrase: string; backup: string },
  homes: ReadonlySet<string>,
  noted?: Noted<Owner>,
): Promise<RestoredEntry[]> {
  const content = await openBackup(passphrase, backup);
  const entries: RestoredEntry[] = [];
  for (const [at, found] of content.credentials.entries()) {
    const { user, provider } = { ...(found as object) } as Record<string, unknown>;
    const isNamed = typeof user === 'string' && ProviderId.safeParse(provider).success;
    const name = isNamed ? `${plainText(user, 64)}/${String(provider)}` : `credential ${at + 1}`;
    const work = () => restoreCredential(ctx, ownPart(ctx, entryOf(BackedUp, found)), noted);
    entries.push(await byItself(ctx, name, work));
  }
  for (const [at, found] of content.homeKeys.entries()) {
    const named = z.looseObject({ vmId: VmId }).safeParse(found);
    const name = named.data?.vmId ?? `home key ${at + 1}`;
    entries.push(
      await byItself(ctx, name, async () => {
        const { vmId, key } = entryOf(BackedUpHomeKey, found);
        return homes.has(vmId) ? restoreHomeKey(ctx, vmId, key) : 'absent';
      }),
    );
  }
  return entries;
}

const faultsOfEntries: readonly ErrorCode[] = ['backup_invalid', 'credential_invalid'];

/** What became of one entry. Why it was left out names files and members, and no value. @throws what is no fault of the entry */
async function byItself(
  { log }: VaultContext,
  name: string,
  work: () => Promise<RestoreResult>,
): Promise<RestoredEntry> {
  try {
    return { name, result: await work(), reason: null };
  } catch (error) {
    if (!(error instanceof AppError) || !faultsOfEntries.includes(error.code)) throw error;
    const { code, message: reason } = error;
    log.warn({ name, code, reason }, 'an entry of a backup was left out');
    return { name, result: 'left_out', reason };
  }
}

/** @throws AppError backup_invalid */
function entryOf<T>(form: z.ZodType<T>, found: unknown): T {
  const parsed = form.safeParse(found);
  if (parsed.success) return parsed.data;
  throw new AppError('backup_invalid', `It has an unexpected form: ${whereIn(parsed.error)}.`);
}

/** @throws AppError credential_invalid, naming what is wrong */
function ownPart(ctx: VaultContext, entry: BackedUp): BackedUp {
  const { user, provider, bundle } = entry;
  return { ...entry, bundle: judged(ctx, { userId: user, provider }, bundle) };
}

async function restoreCredential(ctx: VaultContext, entry: BackedUp, noted?: Noted<Owner>): Promise<RestoreResult> {
  const user = (await ctx.users.list()).find(({ name }) => name === entry.user);
  if (!user) return 'absent';
  const { provider, generation, method } = entry;
  const row = { userId: user.id, provider, generation, method, lineage: generation, sessionId: null };
  return changing(ctx, row, async (tx, seal) => {
    const kept = await whatStays(ctx, tx, row);
    if (kept) return kept;
    await tx.delete(credentials).where(of(row));
    const sealed = await seal(contextOf(row), JSON.stringify(entry.bundle));
    await tx.insert(credentials).values({ ...row, state: 'active', updatedAt: new Date(entry.updatedAt), sealed });
    const lastGeneration = sql<number>`greatest(${custody.lastGeneration}, ${generation}::integer)`;
    await tx.update(custody).set({ lastGeneration }).where(of(row, custody));
    await noted?.(row, tx);
    return 'restored';
  });
}

/** Why nothing is restored, or undefined. */
async function whatStays(
  ctx: VaultContext,
  tx: Transaction,
  row: Pick<CredentialRow, 'userId' | 'provider' | 'generation'>,
): Promise<RestoreResult | undefined> {
  const [held] = await tx.select().from(custody).where(of(row, custody));
  const found = await tx.select().from(credentials).where(of(row));
  const same = found.find(({ generation }) => generation === row.generation);
  // Without a row the number of the last one still counts: removing a credential is newer than a backup of it.
  if ((held?.lastGeneration ?? 0) > row.generation && !(same?.state === 'active' && found.length === 1)) return 'newer';
  if (same && (await opens(ctx, contextOf(same), same.sealed)) !== undefined) return 'kept';
  return undefined;
}

async function restoreHomeKey(ctx: VaultContext, vmId: string, key: string): Promise<RestoreResult> {
  const [row] = await ctx.db.select().from(homeKeys).where(eq(homeKeys.vmId, vmId));
  const present = row && (await opens(ctx, homeContext(vmId), row.sealed));
  if (present !== undefined) return present === key ? 'kept' : 'newer';
  await ctx.ring.sealing(async (seal) => {
    const sealed = await seal(homeContext(vmId), key);
    await ctx.db
      .insert(homeKeys)
      .values({ vmId, sealed })
      .onConflictDoUpdate({ target: homeKeys.vmId, set: { sealed } });
  });
  return 'restored';
}

async function opens({ ring }: VaultContext, context: string, sealed: string): Promise<string | undefined> {
  try {
    return await ring.open(context, sealed);
  } catch (error) {
    if (error instanceof AppError && error.code === 'vault_key_invalid') return undefined;
    throw error;
  }
}
