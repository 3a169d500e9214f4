/** A new API token for a user; the admin's is a file, which scripts of the host read. */
import { and, eq, inArray } from 'drizzle-orm';
import { hashSecret, newSecret } from '../lib/secret.js';
import { get, type UsersContext } from './context.js';
import { revoke } from './once.js';
import { tokens, users } from './table.js';

/** See `Users.rotateToken`. */
export function rotateToken(ctx: UsersContext, userId: string): Promise<string> {
  return ctx.rotations.run(userId, async () => {
    const { db, known } = ctx;
    const { name, tokenHash } = await get(db, userId);
    const token = newSecret();
    const hash = hashSecret(token);
    const old = name === 'admin' ? ctx.adminHash : tokenHash;
    if (name === 'admin') {
      // The file first: a crash here leaves a token that the next start takes.
      await ctx.storeAdminToken(token);
      ctx.adminHash = hash;
    } else {
      await db.update(users).set({ tokenHash: hash }).where(eq(users.id, userId));
    }
    known.add(hash, userId, null);
    if (old !== null) known.forget(old);
    // Whoever had the old one may have made links and tickets with it.
    await revoke(ctx, and(eq(tokens.userId, userId), inArray(tokens.kind, ['login', 'desktop'])));
    return token;
  });
}
