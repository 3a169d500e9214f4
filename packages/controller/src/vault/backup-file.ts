/** The form of a backup: one JWE under a passphrase, independent of the vault key. */
import { CompactEncrypt, compactDecrypt, errors } from 'jose';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { StoredBundle } from '@airlock/contract/guest';
import { VmId } from '@airlock/contract/ids';
import { ProviderId } from '@airlock/contract/provider/provider';

/** One credential of a backup. */
export const BackedUp = z.strictObject({
  /** The name: ids differ from database to database. */
  user: z.string(),
  provider: ProviderId,
  generation: z.int().positive().max(999_999_999),
  method: z.enum(['login', 'api_key']),
  updatedAt: z.iso.datetime().refine((at) => Date.parse(at) >= 0),
  bundle: StoredBundle,
});
export type BackedUp = z.infer<typeof BackedUp>;
export const BackedUpHomeKey = z.strictObject({ vmId: VmId, key: z.base64().length(88) });

/** Its entries are each judged by themselves. */
const BackupContent = z.strictObject({
  version: z.literal(1),
  createdAt: z.iso.datetime(),
  credentials: z.array(z.unknown()),
  homeKeys: z.array(z.unknown()),
});
export type BackupContent = z.infer<typeof BackupContent>;

const header = { alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', typ: 'airlock-backup' } as const;
/** Rounds of PBKDF2 with SHA-512: about a second of one core; an attacker pays it for each guess. */
const rounds = 600_000;

export async function sealBackup(passphrase: string, content: BackupContent): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(content)))
    .setProtectedHeader(header)
    .setKeyManagementParameters({ p2c: rounds })
    .encrypt(new TextEncoder().encode(passphrase));
}

/** @throws AppError backup_invalid, without any content */
export async function openBackup(passphrase: string, backup: string): Promise<BackupContent> {
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
  const parsed = BackupContent.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new AppError('backup_invalid', `The backup opens, but has an unexpected form: ${whereIn(parsed.error)}.`, {
    hint: 'It may come from another version of Airlock.',
  });
}

/** What is wrong with the form of something in a backup, by the names of its members alone. */
export const whereIn = ({ issues }: z.ZodError): string =>
  issues.map(({ path }) => path.join('.') || 'all of it').join(', ');

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
