/** A new API token for a user; the admin's is a file, which scripts of the host read. */
import { and, eq, inArray } from 'drizzle-orm';
import type { Actor, AuditEntry } from '../audit/audit.js';
import { hashSecret, newSecret } from '../lib/secret.js';
import { changing, get, type UsersContext } from './context.js';
import { tokens, users } from './table.js';

/** See `Users.rotateToken`. */
export async function rotateToken(ctx: UsersContext, userId: string, actor: Actor): Promise<string> {
  const { db, known, audit } = ctx;
  const { name, role } = await get(db, userId);
  const isFile = name === 'admin';
  const action = role === 'admin' ? 'admin_token_rotated' : 'user_token_rotated';
  const entry: AuditEntry = { actor, action, userId, subject: name };
  // A file is in no transaction.
  if (isFile) await audit.note(entry);
  const token = newSecret();
  const hash = hashSecret(token);
  const old = await changing(ctx, userId, async ({ tx, user, drop }) => {
    // Whoever had the old one may have made links and tickets with it.
    await drop(and(eq(tokens.userId, userId), inArray(tokens.kind, ['login', 'desktop'])));
    if (!isFile) {
      await audit.note(entry, tx);
      await tx.update(users).set({ tokenHash: hash }).where(eq(users.id, userId));
      return user.tokenHash;
    }
    const former = ctx.adminHash;
    // Whoever reads the file finds a token that is good, also when the transaction fails after it.
    known.add(hash, userId, null);
    // The file first: a crash here leaves a token that the next start takes.
    await ctx.storeAdminToken(token);
    ctx.adminHash = hash;
    return former;
  });
  known.add(hash, userId, null);
  if (old !== null) known.forget(old);
  return token;
}
