/**
 * Signing in to the controller itself: one-time links, and the cookie and page secret that they are traded for.
 * A link is a trap when whoever opens it becomes somebody else unasked: it says whose it is, and does not push out who is there.
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { User } from '@airlock/contract/api';
import {
  CreateLoginTokenRequest,
  CreateLoginTokenResponse,
  LoginAccount,
  LoginAccountRequest,
  LoginRequest,
  LoginResponse,
  pageHeader,
} from '@airlock/contract/login';
import { AppError } from '@airlock/contract/errors';
import type { Actor } from '../../audit/audit.js';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { actorOf, byOf, cookieName, userOf } from '../identity.js';
import { isHttps } from '../origin.js';

const WhoAmI = z.strictObject({ user: User });

/** `base`: URL at which people reach this controller. */
export function addLoginRoutes(server: Server, deps: HttpDeps, base: () => string): void {
  addLinks(server, deps, base);
  addLogin(server, deps);
  addLogout(server, deps);

  server.get(
    '/api/me',
    { schema: { response: answers(200, WhoAmI), summary: 'The signed-in user' } },
    async (request) => ({ user: userOf(request) }),
  );
}

/** The token stands behind `#`, so that no server and no log along the way sees it. */
export const loginUrl = (base: string, token: string): string => `${base}/dashboard/login#token=${token}`;

function addLinks(server: Server, { users }: HttpDeps, base: () => string): void {
  server.post(
    '/api/login-tokens',
    {
      schema: {
        body: CreateLoginTokenRequest,
        response: answers(200, CreateLoginTokenResponse),
        summary: 'Make a one-time login link for oneself or (administrators) for another user; by API token only',
      },
    },
    async (request) => {
      if (request.via !== 'token') throw madeByTokenOnly();
      const user = await accountFor(userOf(request), request.body.userName);
      const by = { actor: actorOf(request), madeWith: request.tokenHash };
      const { token, expiresAt } = await users.createLoginToken(user.id, by);
      return { url: loginUrl(base(), token), expiresAt: expiresAt.toISOString() };
    },
  );

  server.post(
    '/api/login/account',
    {
      config: { access: 'public' },
      schema: {
        body: LoginAccountRequest,
        response: answers(200, LoginAccount),
        summary: 'Whose account a login link opens; the link stays good',
      },
    },
    async (request) => {
      const { user, expiresAt } = await users.accountOf(request.body.token);
      return { userName: user.name, expiresAt: expiresAt.toISOString() };
    },
  );

  async function accountFor(caller: User, userName: string | undefined): Promise<User> {
    if (userName === undefined || userName === caller.name) return caller;
    if (caller.role !== 'admin') throw new AppError('forbidden', 'Only administrators make login links for others.');
    const user = (await users.list()).find(({ name }) => name === userName);
    if (!user) throw new AppError('not_found', `There is no user named ${userName}.`);
    return user;
  }
}

function addLogin(server: Server, { users, audit, revocation, settings }: HttpDeps): void {
  const name = cookieName(settings.AIRLOCK_PUBLIC_URL);
  server.post(
    '/api/login',
    {
      config: { access: 'public' },
      schema: {
        body: LoginRequest,
        response: answers(200, LoginResponse),
        summary: 'Trade a one-time login token for a cookie and its page secret',
      },
    },
    async (request, reply) => {
      const { token, replace } = request.body;
      const cookie = request.cookies[name];
      const { user: account } = await users.accountOf(token);
      const present = cookie === undefined ? undefined : await users.holderOf(cookie);
      if (present && present.id !== account.id && !replace) {
        const details = { reason: 'other_user_signed_in', account: account.name };
        await audit.note({ actor: signedIn(present), action: 'sign_in_refused', userId: present.id, details });
        throw otherUserSignedIn();
      }
      const { user, page, ...made } = await users.login(token);
      await endFormer(request, cookie);
      void reply
        .setCookie(name, made.cookie, { ...cookieOptions(settings), expires: made.expiresAt })
        .header('cache-control', 'no-store');
      return { user, page };
    },
  );

  /** The sign-in whose cookie is replaced, when the page itself has it: a cookie alone ends nothing. */
  async function endFormer(request: FastifyRequest, cookie: string | undefined): Promise<void> {
    const page = request.headers[pageHeader];
    if (cookie === undefined || typeof page !== 'string') return;
    const former = await users.byCookie(cookie, page);
    if (!former?.signIn) return;
    const by = { actor: signedIn(former.user) };
    // Another tab may have ended it meanwhile; the link is used up, and counts.
    await revocation.endSignIn(former.user.id, former.signIn.id, by).catch((error: unknown) => {
      if (AppError.from(error).code !== 'not_found') throw error;
    });
  }
}

function addLogout(server: Server, { revocation, settings }: HttpDeps): void {
  server.post(
    '/api/logout',
    { schema: { response: answers(204, noContent), summary: 'End the sign-in of this browser' } },
    async (request, reply) => {
      const { signIn } = request;
      if (signIn !== null) await revocation.endSignIn(userOf(request).id, signIn, byOf(request));
      const name = cookieName(settings.AIRLOCK_PUBLIC_URL);
      return reply.clearCookie(name, cookieOptions(settings)).status(204).send(undefined);
    },
  );
}

const cookieOptions = ({ AIRLOCK_PUBLIC_URL: publicUrl }: HttpDeps['settings']) =>
  ({ path: '/', httpOnly: true, sameSite: 'strict', secure: isHttps(publicUrl) }) as const;

const signedIn = ({ id, name }: User): Actor => ({ actorId: id, actorName: name, via: 'cookie' });

const madeByTokenOnly = (): AppError =>
  new AppError('forbidden', 'A browser makes no login links: they are made by API token only.', {
    hint: 'On its host run `npx airlock login-url`, or call this with Authorization: Bearer.',
  });

const otherUserSignedIn = (): AppError =>
  new AppError('other_user_signed_in', 'Somebody else is signed in in this browser, so that the link was not used.', {
    hint: 'Sign out first, or send "replace": true to end that sign-in and use the link.',
  });
