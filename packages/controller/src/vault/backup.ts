/**
 * A backup: credentials and home keys as one JWE under a passphrase, independent of the vault key. Restoring never replaces what
 * is newer here, nor what can be opened and is as new.
 */
import { and, eq, sql } from 'drizzle-orm';
import { CompactEncrypt, compactDecrypt, errors } from 'jose';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { CredentialBundle } from '@airlock/contract/guest';
import { VmId } from '@airlock/contract/ids';
import { ProviderId } from '@airlock/contract/provider/provider';
import { vms } from '../vm/table.js';
import { credentials, custody } from './table.js';
import type { Database } from '../store/store.js';
import type { KeyRing } from './ring.js';
import { homeContext } from './rotate.js';
import { contextOf, lockCustody, of, type Transaction } from './rows.js';
import type { CredentialRow, RestoreResult, Vault } from './vault.js';

export interface Backup {
  backup: string;
  credentials: number;
  homeKeys: number;
  unconfirmed: number;
}

const Content = z.strictObject({
  version: z.literal(1),
  createdAt: z.iso.datetime(),
  credentials: z.array(
    z.strictObject({
      /** The name: ids differ from database to database. */
      user: z.string(),
      provider: ProviderId,
      generation: z.int().positive(),
      method: z.enum(['login', 'api_key']),
      updatedAt: z.iso.datetime(),
      bundle: CredentialBundle,
    }),
  ),
  homeKeys: z.array(z.strictObject({ vmId: VmId, key: z.base64().length(88) })),
});
type Content = z.infer<typeof Content>;
type BackedUp = Content['credentials'][number];

const header = { alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', typ: 'airlock-backup' } as const;
/** Rounds of PBKDF2 with SHA-512: about a second of one core; an attacker pays it for each guess. */
const rounds = 600_000;

export interface BackupDeps {
  db: Database;
  ring: KeyRing;
  users: { list(): Promise<readonly { id: string; name: string }[]> };
}

export function createBackups({ db, ring, users }: BackupDeps): Pick<Vault, 'backup' | 'restore'> {
  return {
    async backup(passphrase) {
      const rows = await db
        .select({ row: credentials, confirmed: custody.confirmed, vmState: vms.state })
        .from(credentials)
        .leftJoin(custody, and(eq(custody.userId, credentials.userId), eq(custody.provider, credentials.provider)))
        .leftJoin(vms, eq(vms.id, custody.holderVmId))
        .where(eq(credentials.state, 'active'));
      const names = new Map((await users.list()).map(({ id, name }) => [id, name]));
      const stored = await Promise.all(rows.map(({ row }) => backedUp(row, names.get(row.userId) ?? row.userId)));
      const homeKeys = await openHomeKeys();
      const content: Content = { version: 1, createdAt: new Date().toISOString(), credentials: stored, homeKeys };
      const unconfirmed = rows.filter(({ confirmed, vmState }) => confirmed === false && vmState !== 'running').length;
      const backup = await sealBackup(passphrase, content);
      return { backup, credentials: stored.length, homeKeys: homeKeys.length, unconfirmed };
    },

    async restore(passphrase, backup) {
      const content = await openBackup(passphrase, backup);
      const entries: { name: string; result: RestoreResult }[] = [];
      for (const entry of content.credentials) {
        entries.push({ name: `${entry.user}/${entry.provider}`, result: await restoreCredential(entry) });
      }
      for (const { vmId, key } of content.homeKeys) {
        entries.push({ name: vmId, result: await restoreHomeKey(vmId, key) });
      }
      return entries;
    },
  };

  async function backedUp(row: CredentialRow, user: string): Promise<BackedUp> {
    const { provider, generation, method, updatedAt } = row;
    const bundle = CredentialBundle.parse(JSON.parse(await ring.open(contextOf(row), row.sealed)));
    return { user, provider, generation, method, updatedAt: updatedAt.toISOString(), bundle };
  }

  async function openHomeKeys(): Promise<Content['homeKeys']> {
    const rows = await db.select({ vmId: vms.id, sealed: vms.homeKeySealed }).from(vms);
    const held = rows.flatMap(({ vmId, sealed }) => (sealed === null ? [] : [{ vmId, sealed }]));
    return Promise.all(
      held.map(async ({ vmId, sealed }) => ({ vmId, key: await ring.open(homeContext(vmId), sealed) })),
    );
  }

  async function opens(context: string, sealed: string): Promise<string | undefined> {
    try {
      return await ring.open(context, sealed);
    } catch (error) {
      if (error instanceof AppError && error.code === 'vault_key_invalid') return undefined;
      throw error;
    }
  }

  async function restoreCredential(entry: BackedUp): Promise<RestoreResult> {
    const user = (await users.list()).find(({ name }) => name === entry.user);
    if (!user) return 'absent';
    const { provider, generation, method } = entry;
    const row = { userId: user.id, provider, generation, method, lineage: generation, sessionId: null };
    return ring.sealing((seal) =>
      db.transaction(async (tx) => {
        await lockCustody(tx, row);
        const kept = await whatStays(tx, row);
        if (kept) return kept;
        await tx.delete(credentials).where(of(row));
        const sealed = await seal(contextOf(row), JSON.stringify(entry.bundle));
        await tx.insert(credentials).values({ ...row, state: 'active', updatedAt: new Date(entry.updatedAt), sealed });
        const lastGeneration = sql<number>`greatest(${custody.lastGeneration}, ${generation}::integer)`;
        await tx.update(custody).set({ lastGeneration }).where(of(row, custody));
        return 'restored' as const;
      }),
    );
  }

  /** Why nothing is restored, or undefined. */
  async function whatStays(
    tx: Transaction,
    row: Pick<CredentialRow, 'userId' | 'provider' | 'generation'>,
  ): Promise<RestoreResult | undefined> {
    const [held] = await tx.select().from(custody).where(of(row, custody));
    const found = await tx.select().from(credentials).where(of(row));
    const same = found.find(({ generation }) => generation === row.generation);
    // Without a row the number of the last one still counts: removing a credential is newer than a backup of it.
    if ((held?.lastGeneration ?? 0) > row.generation && !(same?.state === 'active' && found.length === 1))
      return 'newer';
    if (same && (await opens(contextOf(same), same.sealed)) !== undefined) return 'kept';
    return undefined;
  }

  async function restoreHomeKey(vmId: string, key: string): Promise<RestoreResult> {
    const [row] = await db.select({ sealed: vms.homeKeySealed }).from(vms).where(eq(vms.id, vmId));
    if (!row || row.sealed === null) return 'absent';
    const present = await opens(homeContext(vmId), row.sealed);
    if (present !== undefined) return present === key ? 'kept' : 'newer';
    await ring.sealing(async (seal) => {
      const homeKeySealed = await seal(homeContext(vmId), key);
      await db.update(vms).set({ homeKeySealed }).where(eq(vms.id, vmId));
    });
    return 'restored';
  }
}

async function sealBackup(passphrase: string, content: Content): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(content)))
    .setProtectedHeader(header)
    .setKeyManagementParameters({ p2c: rounds })
    .encrypt(new TextEncoder().encode(passphrase));
}

/** @throws AppError backup_invalid, without any content */
export async function openBackup(passphrase: string, backup: string): Promise<Content> {
  let text: string;
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(backup.trim(), new TextEncoder().encode(passphrase), {
      keyManagementAlgorithms: [header.alg],
      contentEncryptionAlgorithms: [header.enc],
      maxPBES2Count: rounds,
    });
    if (protectedHeader.typ !== header.typ) throw new AppError('backup_invalid', 'The file is no backup of Airlock.');
    text = new TextDecoder().decode(plaintext);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('backup_invalid', whyNot(error), { cause: error });
  }
  const parsed = Content.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map(({ path }) => path.join('.') || 'the whole document').join(', ');
  throw new AppError('backup_invalid', `The backup opens, but has an unexpected form: ${where}.`, {
    hint: 'It may come from another version of Airlock.',
  });
}

function whyNot(error: unknown): string {
  if (error instanceof errors.JWEDecryptionFailed)
    return 'The backup cannot be opened: the passphrase is wrong, or the file was altered or cut short.';
  return 'The file is no backup of Airlock, or it was altered or cut short.';
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the schema refuses it without quoting any of it.
    return undefined;
  }
}
