/** Keys of CLI VMs' encrypted homes: 64 random bytes each, in base64, sealed for one VM. Without its key a home is gone for good. */
import { randomBytes } from 'node:crypto';
import { asc, eq } from 'drizzle-orm';
import { AppError } from '@airlock/contract/errors';
import type { VaultContext } from './context.js';
import { homeKeys } from './table.js';

type Context = Pick<VaultContext, 'db' | 'ring'>;

/** What a home key is sealed for. Changing it closes every home there is. */
export const homeContext = (vmId: string): string => `home/${vmId}`;

export async function sealHomeKey(
  { db, ring }: Context,
  vmId: string,
  key = randomBytes(64).toString('base64'),
): Promise<void> {
  await ring.sealing(async (seal) => {
    const sealed = await seal(homeContext(vmId), key);
    await db.insert(homeKeys).values({ vmId, sealed });
  });
}

export async function openHomeKey({ db, ring }: Context, vmId: string): Promise<string> {
  const [row] = await db.select().from(homeKeys).where(eq(homeKeys.vmId, vmId));
  const hint =
    'Bring it back with `airlock vault restore` and a backup; without it nobody can open that home, ' +
    `and \`airlock vm destroy ${vmId}\` makes room for a new one.`;
  if (!row) {
    throw new AppError('home_key_lost', `The vault holds no key for the home of VM ${vmId}.`, {
      hint: `${hint} Version 0.1 started such a VM as if its home were not encrypted.`,
    });
  }
  try {
    return await ring.open(homeContext(vmId), row.sealed);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError('home_key_lost', `The key of the home of VM ${vmId} does not open. ${error.message}`, {
      hint: error.hint === '' ? hint : error.hint,
      cause: error,
    });
  }
}

export async function dropHomeKey({ db }: Context, vmId: string): Promise<void> {
  await db.delete(homeKeys).where(eq(homeKeys.vmId, vmId));
}

export const listHomeKeys = ({ db }: Pick<Context, 'db'>): Promise<(typeof homeKeys.$inferSelect)[]> =>
  db.select().from(homeKeys).orderBy(asc(homeKeys.vmId)).execute();
