/** Signing in to the controller itself: one-time links and the cookie that they are traded for. */
import { z } from 'zod';
import { CreateLoginTokenRequest, CreateLoginTokenResponse, LoginRequest, User } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { byOf, cookieName, userOf } from '../identity.js';

const WhoAmI = z.strictObject({ user: User });

/** `base`: URL at which people reach this controller. */
export function addLoginRoutes(server: Server, { users, revocation, settings }: HttpDeps, base: () => string): void {
  const cookieOptions = {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: settings.AIRLOCK_PUBLIC_URL?.startsWith('https:') ?? false,
  } as const;

  server.post(
    '/api/login',
    {
      config: { access: 'public' },
      schema: {
        body: LoginRequest,
        response: answers(200, WhoAmI),
        summary: 'Trade a one-time login token for a cookie',
      },
    },
    async (request, reply) => {
      const { user, cookie, expiresAt } = await users.login(request.body.token);
      void reply.setCookie(cookieName, cookie, { ...cookieOptions, expires: expiresAt });
      return { user };
    },
  );

  server.post(
    '/api/logout',
    { schema: { response: answers(204, noContent), summary: 'End the sign-in of this browser' } },
    async (request, reply) => {
      const { signIn } = request;
      if (signIn !== null) await revocation.endSignIn(userOf(request).id, signIn, byOf(request));
      return reply.clearCookie(cookieName, cookieOptions).status(204).send(undefined);
    },
  );

  server.get(
    '/api/me',
    { schema: { response: answers(200, WhoAmI), summary: 'The signed-in user' } },
    async (request) => ({ user: userOf(request) }),
  );

  server.post(
    '/api/login-tokens',
    {
      schema: {
        body: CreateLoginTokenRequest,
        response: answers(200, CreateLoginTokenResponse),
        summary: 'Make a one-time login link for oneself or (administrators) for another user',
      },
    },
    async (request) => {
      const userId = await idOf(userOf(request), request.body.userName);
      const { token, expiresAt } = await users.createLoginToken(userId);
      return { url: loginUrl(base(), token), expiresAt: expiresAt.toISOString() };
    },
  );

  async function idOf(caller: User, userName: string | undefined): Promise<string> {
    if (userName === undefined || userName === caller.name) return caller.id;
    if (caller.role !== 'admin') throw new AppError('forbidden', 'Only administrators make login links for others.');
    const user = (await users.list()).find(({ name }) => name === userName);
    if (!user) throw new AppError('not_found', `There is no user named ${userName}.`);
    return user.id;
  }
}

/** The token stands behind `#`, so that no server and no log along the way sees it. */
export const loginUrl = (base: string, token: string): string => `${base}/dashboard/login#token=${token}`;
