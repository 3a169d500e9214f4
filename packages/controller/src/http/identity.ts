/**
 * Who is calling, and whether they may. Every route asks for a signed-in user unless its config says otherwise.
 *
 * A program sends `Authorization: Bearer <token>`. A browser sends the cookie, which every port of a host receives, and the page
 * sends the page secret, which only this origin has (`pageHeader`): one without the other is nothing. Everything that changes
 * something, and every WebSocket, must come from a page of this controller besides (Origin).
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { User } from '@airlock/contract/api';
import { pageHeader } from '@airlock/contract/login';
import type { Actor } from '../audit/audit.js';
import { AppError } from '@airlock/contract/errors';
import { hashSecret } from '../lib/secret.js';
import type { Connections, Live } from '../revocation/connections.js';
import type { By } from '../revocation/revocation.js';
import type { Identified, Users } from '../user/user.js';
import type { Server } from './deps.js';
import type { Limits } from './limits.js';
import { isHttps, isOwnOrigin, originOfHost, type Reach } from './origin.js';

declare module 'fastify' {
  interface FastifyRequest {
    user: User | null;
    via: 'token' | 'cookie' | null;
    /** The browser's sign-in; null for a program. */
    signIn: string | null;
    /** SHA-256 (hex) of the API token; null for a browser. */
    tokenHash: string | null;
    live: Live | null;
  }
  interface FastifyContextConfig {
    /**
     * Who may call; `user` (anybody signed in) when it is not given. `ticket`: whoever has the one-time ticket of the query, which
     * the route redeems; nothing else that comes with the request counts.
     */
    access?: Access;
  }
}

type Access = 'public' | 'user' | 'admin' | 'ticket';

/** The prefix has browsers refuse a cookie of this name that another host or a page without TLS sets. */
export const cookieName = (publicUrl: string | undefined): string =>
  isHttps(publicUrl) ? '__Host-airlock' : 'airlock';

interface Identity {
  users: Users;
  connections: Connections;
  limits: Limits;
  reach(): Reach;
}

/** Adds the checks. The rate limit comes before the database is asked who calls. */
export function addIdentity(server: Server, { users, connections, limits, reach }: Identity): void {
  const members = ['user', 'via', 'claimed', 'signIn', 'tokenHash', 'live'] as const;
  for (const member of members) server.decorateRequest(member, null);
  server.addHook('onRequest', async (request, reply) => {
    checkHost(request, reach());
    if (accessOf(request) === 'public') return;
    const { secret, page } = presented(request, cookieName(reach().publicUrl));
    if (secret === undefined) return;
    request.claimed = users.ownerOf(secret, page) ?? null;
    if (request.claimed === null) return;
    await limits.count(request, reply);
    request.live = openLive(connections, request, reply);
    if (accessOf(request) === 'ticket') return;
    if (request.via === 'token') request.tokenHash = hashSecret(secret);
    const found = await (request.via === 'token' ? byToken(users, secret) : users.byCookie(secret, page ?? ''));
    if (found) admit(request, found);
  });
  server.addHook('preParsing', async (request) => {
    // Where there is none it would be opened, and ended, and hold the connection all the same.
    if (request.ws && accessOf(request) !== 'ticket')
      throw new AppError('invalid_request', 'There is no WebSocket at this path.');
    checkAccess(request);
    checkOrigin(request, reach());
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

/** The request is theirs from now on, unless what showed it was revoked while it was looked up. */
export function admit(request: FastifyRequest, { user, signIn }: Identified): void {
  const caller = { userId: user.id, via: signIn ? 'cookie' : 'token', signIn: signIn?.id ?? null } as const;
  if (!request.live?.isFrom(caller, signIn?.expiresAt)) return;
  request.user = user;
  request.via = caller.via;
  request.signIn = caller.signIn;
  request.server.sockets.welcome(request.raw, user.id);
}

const accessOf = (request: FastifyRequest): Access =>
  request.is404 ? 'public' : (request.routeOptions.config.access ?? 'user');

function checkHost(request: FastifyRequest, reach: Reach): void {
  if (originOfHost(reach, request.headers.host) !== undefined) return;
  throw new AppError('origin_refused', 'The Host header of the request is not a name of this controller.', {
    hint: 'Behind a reverse proxy set AIRLOCK_PUBLIC_URL to the URL that people use.',
  });
}

interface Presented {
  secret?: string | undefined;
  page?: string | undefined;
}

/** The secret that came with the request, and in `via` how; a token of a wrong form is as good as none. */
function presented(request: FastifyRequest, cookieNamed: string): Presented {
  const { headers, cookies, query } = request;
  if (accessOf(request) === 'ticket') return { secret: oneOf((query as { ticket?: string | string[] }).ticket) };
  if (headers.authorization !== undefined) {
    request.via = 'token';
    return { secret: /^Bearer ([\w-]{16,128})$/i.exec(headers.authorization)?.[1] };
  }
  const secret = cookies[cookieNamed];
  if (secret !== undefined) request.via = 'cookie';
  return { secret, page: oneOf(headers[pageHeader]) };
}

const oneOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;

async function byToken(users: Users, token: string): Promise<Identified | undefined> {
  const user = await users.byToken(token);
  return user && { user, signIn: null };
}

function openLive(connections: Connections, request: FastifyRequest, reply: FastifyReply): Live {
  const { socket } = request.raw;
  const live = connections.open(() => socket.destroy());
  request.server.sockets.whenOver(request.raw, reply.raw, live.close);
  return live;
}

function checkAccess(request: FastifyRequest): void {
  const access = accessOf(request);
  if (access === 'public' || access === 'ticket') return;
  if (!request.user) {
    throw unauthenticated(
      request.via === null
        ? 'No token or sign-in cookie came with the request.'
        : request.via === 'token'
          ? 'The token is not valid (any more).'
          : `The sign-in cookie is not valid (any more), or its page secret did not come with it (${pageHeader}).`,
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
  // A program that brings no cookie but a login token or a ticket has nothing that a foreign page could abuse.
  if (origin === undefined && request.via === null) return;
  throw new AppError('origin_refused', 'The request does not come from a page of this controller.', {
    hint: 'Programs send Authorization: Bearer instead of the cookie.',
  });
}

function unauthenticated(message: string): AppError {
  return new AppError('unauthenticated', message, {
    hint: 'In a browser open a login link, which whoever runs this Airlock gives you; a program sends Authorization: Bearer.',
  });
}
