/** Revocation, put together from what each noun can end and forget of a user. Disabled first, so that a crash leaves nobody let in. */
import { system, type Actor } from '../audit/audit.js';
import { createQueue, type Queue } from '../lib/keyed.js';
import type { Log } from '../lib/log.js';
import { startLoop, type Loop } from '../lib/loop.js';
import type { Sessions } from '../session/session.js';
import type { Users } from '../user/user.js';
import type { Vault } from '../vault/vault.js';
import type { Vms } from '../vm/vm.js';
import type { Caller, Connections } from './connections.js';
import type { By, Revocation } from './revocation.js';

export interface RevocationDeps {
  users: Users;
  sessions: Pick<Sessions, 'cancelAll' | 'forget'>;
  vms: Pick<Vms, 'stopAllOf' | 'removeAllOf'>;
  vault: Pick<Vault, 'forget'>;
  connections: Connections;
  log: Log;
  /** Milliseconds between two looks for what broke off; 10 s by default. */
  sweepMs?: number;
}

interface Context extends RevocationDeps {
  /** By user: what follows from being kept out, one after the other. */
  work: Queue;
}

export function createRevocation(deps: RevocationDeps): Revocation {
  const { users, sweepMs = 10_000, log } = deps;
  const ctx: Context = { ...deps, work: createQueue() };
  let sweep: Loop | undefined;
  return {
    disable: (userId, by) => keepOut(ctx, userId, 'disabled', by),
    enable: (userId, by) => users.letIn(userId, by.actor),
    remove: (userId, by) => keepOut(ctx, userId, 'removing', by),
    rotateToken: (userId, by) => rotateToken(ctx, userId, by),
    endSignIn: async (userId, signIn, by) => {
      await users.endSignIn(userId, signIn, by.actor);
      end(ctx, by, (caller) => caller.signIn === signIn);
    },
    signOutEverywhere: async (userId, by) => {
      const ended = await users.endSignIns(userId, by.actor);
      end(ctx, by, (caller) => caller.userId === userId && caller.via === 'cookie');
      return ended;
    },
    resume() {
      sweep = startLoop({
        ...{ name: 'users who are kept out', everyMs: sweepMs, atOnce: true, log },
        turn: () => goOn(ctx),
      });
    },
    close: async () => sweep?.stop(),
  };
}

const end = ({ connections }: Context, { live }: By, which: (caller: Caller) => boolean): void =>
  connections.end(which, live);

async function keepOut(ctx: Context, userId: string, how: 'disabled' | 'removing', by: By): Promise<void> {
  await ctx.users.keepOut(userId, how, by.actor);
  end(ctx, by, (caller) => caller.userId === userId);
  await ctx.work.run(userId, () => finish(ctx, userId, by.actor));
}

async function rotateToken(ctx: Context, userId: string, by: By): Promise<string> {
  const token = await ctx.users.rotateToken(userId, by.actor);
  end(ctx, by, (caller) => caller.userId === userId && caller.via === 'token');
  return token;
}

/** Ends, and removes, what is left of a user who is kept out. Every step looks at what is already done. */
async function finish(
  { users, sessions, vms, vault, log }: Context,
  userId: string,
  by: Actor = system,
): Promise<void> {
  const user = (await users.list()).find(({ id }) => id === userId);
  if (!user || user.state === 'active') return;
  // First: a sign-in whose VM is not there yet would make it afterwards.
  await sessions.cancelAll(userId, by);
  if (user.state === 'disabled') return vms.stopAllOf(userId);
  await vault.forget(userId);
  await vms.removeAllOf(userId);
  await sessions.forget(userId);
  // Again: what the end of a VM has told of its credentials.
  await vault.forget(userId);
  await users.forget(userId);
  log.info({ userId, name: user.name }, 'user removed');
}

/** Begins with what broke off, by a crash or by a VM that did not end; nobody waits for the VMs of another. */
async function goOn(ctx: Context): Promise<void> {
  for (const { id, state } of await ctx.users.list()) {
    if (state === 'active' || ctx.work.has(id)) continue;
    ctx.work
      .run(id, () => finish(ctx, id))
      .catch((error: unknown) =>
        ctx.log.error({ err: error, userId: id }, 'what belongs to a user who is kept out did not end; trying again'),
      );
  }
}
