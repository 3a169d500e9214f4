/**
 * Who is calling, and whether they may. Every route asks for a signed-in user unless its config says otherwise.
 *
 * A program sends `Authorization: Bearer <token>`. A browser sends the cookie `airlock`; then everything that changes
 * something, and every WebSocket, must come from a page of this controller (Origin).
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { User } from '@airlock/contract/api';
import type { Actor } from '../audit/audit.js';
import { AppError } from '@airlock/contract/errors';
import type { Connections, Live } from '../revocation/connections.js';
import type { By } from '../revocation/revocation.js';
import type { Users } from '../user/user.js';
import type { Server } from './deps.js';
import type { Limits } from './limits.js';
import { isOwnOrigin, originOfHost, type Reach } from './origin.js';

declare module 'fastify' {
  interface FastifyRequest {
    user: User | null;
    via: 'token' | 'cookie' | null;
    /** The sign-in that the cookie belongs to. */
    signIn: string | null;
    live: Live | null;
  }
  interface FastifyContextConfig {
    /** Who may call; `user` (anybody signed in) when it is not given. */
    access?: 'public' | 'user' | 'admin';
  }
}

export const cookieName = 'airlock';

interface Identity {
  users: Users;
  connections: Connections;
  limits: Limits;
  reach(): Reach;
}

/** Adds the checks. The rate limit comes before the database is asked who calls. */
export function addIdentity(server: Server, { users, connections, limits, reach }: Identity): void {
  for (const member of ['user', 'via', 'claimed', 'signIn', 'live'] as const) server.decorateRequest(member, null);
  server.addHook('onRequest', async (request, reply) => {
    checkHost(request, reach());
    if (accessOf(request) === 'public') return;
    const secret = presented(request);
    if (secret === undefined) return;
    request.claimed = users.ownerOf(secret) ?? null;
    if (request.claimed === null) return;
    await limits.count(request, reply);
    request.live = openLive(connections, request, reply);
    await identify(request, secret, users);
    const { user, via, signIn } = request;
    // Revoked while it was looked up.
    if (user && via && !request.live.isFrom({ userId: user.id, via, signIn })) request.user = null;
  });
  server.addHook('preParsing', async (request) => {
    checkAccess(request);
    checkOrigin(request, reach());
    if (request.user) server.sockets.welcome(request.raw);
  });
}

/** The signed-in user of a route that is not public. */
export function userOf(request: FastifyRequest): User {
  if (request.user) return request.user;
  throw unauthenticated('No token or sign-in cookie came with the request.');
}

/** The same, for the audit. */
export function actorOf(request: FastifyRequest): Actor {
  const { id, name } = userOf(request);
  return { actorId: id, actorName: name, via: request.via ?? 'token' };
}

/** The same, for a revocation. */
export const byOf = (request: FastifyRequest): By => ({ actor: actorOf(request), live: request.live ?? undefined });

const accessOf = (request: FastifyRequest): 'public' | 'user' | 'admin' =>
  request.is404 ? 'public' : (request.routeOptions.config.access ?? 'user');

function checkHost(request: FastifyRequest, reach: Reach): void {
  if (originOfHost(reach, request.headers.host) !== undefined) return;
  throw new AppError('origin_refused', 'The Host header of the request is not a name of this controller.', {
    hint: 'Behind a reverse proxy set AIRLOCK_PUBLIC_URL to the URL that people use.',
  });
}

/** The secret that came with the request, and in `via` how; a token of a wrong form is as good as none. */
function presented(request: FastifyRequest): string | undefined {
  const { authorization } = request.headers;
  const cookie = request.cookies[cookieName];
  if (authorization !== undefined) request.via = 'token';
  else if (cookie !== undefined) request.via = 'cookie';
  return authorization === undefined ? cookie : /^Bearer ([\w-]{16,128})$/i.exec(authorization)?.[1];
}

async function identify(request: FastifyRequest, secret: string, users: Users): Promise<void> {
  if (request.via === 'token') {
    request.user = (await users.byToken(secret)) ?? null;
    return;
  }
  const found = await users.byCookie(secret);
  request.user = found?.user ?? null;
  request.signIn = found?.signIn ?? null;
}

function openLive(connections: Connections, request: FastifyRequest, reply: FastifyReply): Live {
  const { socket } = request.raw;
  const live = connections.open(() => socket.destroy());
  // A WebSocket has no answer that closes, and other connections carry more than one request.
  if (request.ws) socket.once('close', live.close);
  else reply.raw.once('close', live.close);
  return live;
}

function checkAccess(request: FastifyRequest): void {
  const access = accessOf(request);
  if (access === 'public') return;
  if (!request.user) {
    throw unauthenticated(
      request.via === null
        ? 'No token or sign-in cookie came with the request.'
        : `The ${request.via === 'token' ? 'token' : 'sign-in cookie'} is not valid (any more).`,
    );
  }
  if (access === 'admin' && request.user.role !== 'admin') {
    throw new AppError('forbidden', `${request.user.name} is not an administrator.`, {
      hint: 'Use the token in $AIRLOCK_HOME/token.',
    });
  }
}

const readOnly = new Set(['GET', 'HEAD', 'OPTIONS']);

function checkOrigin(request: FastifyRequest, reach: Reach): void {
  if (request.via === 'token') return;
  if (readOnly.has(request.method) && !request.ws) return;
  const { origin, host } = request.headers;
  if (origin !== undefined && isOwnOrigin(reach, host, origin)) return;
  // A program without a cookie, such as one that trades a login token, has nothing that a foreign page could abuse.
  if (origin === undefined && request.via === null && !request.ws) return;
  throw new AppError('origin_refused', 'The request does not come from a page of this controller.', {
    hint: 'Programs send Authorization: Bearer instead of the cookie.',
  });
}

function unauthenticated(message: string): AppError {
  return new AppError('unauthenticated', message, {
    hint: 'In a browser open a login link, which whoever runs this Airlock gives you; a program sends Authorization: Bearer.',
  });
}
