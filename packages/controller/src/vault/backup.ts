/** Making a backup: every active credential and every home key, under a passphrase. */
import { eq } from 'drizzle-orm';
import { sealBackup, type BackedUp } from './backup-file.js';
import type { VaultContext } from './context.js';
import { homeContext, listHomeKeys } from './home-key.js';
import { openRow } from './stage.js';
import { credentials } from './table.js';
import type { Backup } from './vault.js';

export async function backup(ctx: VaultContext, passphrase: string): Promise<Backup> {
  const rows = await ctx.db.select().from(credentials).where(eq(credentials.state, 'active'));
  const names = new Map((await ctx.users.list()).map(({ id, name }) => [id, name]));
  const stored = rows.map(async (row): Promise<BackedUp> => {
    const { userId, provider, generation, method, updatedAt } = row;
    const user = names.get(userId) ?? userId;
    return { user, provider, generation, method, updatedAt: updatedAt.toISOString(), bundle: await openRow(ctx, row) };
  });
  const homeKeys = (await listHomeKeys(ctx)).map(async ({ vmId, sealed }) => ({
    vmId,
    key: await ctx.ring.open(homeContext(vmId), sealed),
  }));
  const content = {
    version: 1 as const,
    createdAt: new Date().toISOString(),
    credentials: await Promise.all(stored),
    homeKeys: await Promise.all(homeKeys),
  };
  const sealed = await sealBackup(passphrase, content);
  return { backup: sealed, credentials: content.credentials.length, homeKeys: content.homeKeys.length };
}
