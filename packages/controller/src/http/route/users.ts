/** People: administrators make them, keep them out and remove them; everybody sees and ends their own sign-ins. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CreateUserRequest, CreateUserResponse, ListedUser, UserList } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { SignInId, UserId } from '@airlock/contract/ids';
import { RotateTokenResponse, SignInList, SignOutResponse } from '@airlock/contract/sign-ins';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { actorOf, byOf, userOf } from '../identity.js';

const config = { access: 'admin' } as const;
const params = z.strictObject({ id: UserId });
const ownParams = z.strictObject({ id: z.union([UserId, z.literal('me')]) });

export function addUserRoutes(server: Server, deps: HttpDeps): void {
  addPeople(server, deps);
  addKeepingOut(server, deps);
  addToken(server, deps);
  addSignIns(server, deps);
}

function addPeople(server: Server, { users }: HttpDeps): void {
  server.get(
    '/api/users',
    { config, schema: { response: answers(200, UserList), summary: 'All users' } },
    async () => ({ users: await users.list() }),
  );

  server.post(
    '/api/users',
    {
      config,
      schema: {
        body: CreateUserRequest,
        response: answers(201, CreateUserResponse),
        summary: 'Make a user; the answer holds the API token, this once. Not with a sign-in cookie',
      },
    },
    async (request, reply) => {
      requireToken(request);
      return reply.status(201).send(await users.create(request.body.name, actorOf(request)));
    },
  );
}

function addKeepingOut(server: Server, { users, revocation }: HttpDeps): void {
  const verbs = {
    disable:
      'Keep a user out: token, sign-ins, links and connections end at once, then sign-ins at providers are cancelled and VMs stopped',
    enable: 'Let a disabled user in again; the API token of before is good again',
  };
  for (const verb of ['disable', 'enable'] as const) {
    server.post(
      `/api/users/:id/${verb}`,
      { config, schema: { params, response: answers(200, ListedUser), summary: verbs[verb] } },
      async (request) => {
        const { id } = request.params;
        await revocation[verb](id, byOf(request));
        return users.get(id);
      },
    );
  }

  server.delete(
    '/api/users/:id',
    {
      config,
      schema: {
        params,
        response: answers(204, noContent),
        summary:
          'Disable a user, then remove credentials, VMs with their homes, and the user; the name is free afterwards',
      },
    },
    async (request, reply) => {
      await revocation.remove(request.params.id, byOf(request));
      return reply.status(204).send(undefined);
    },
  );
}

function addToken(server: Server, { revocation }: HttpDeps): void {
  server.post(
    '/api/users/:id/rotate-token',
    {
      schema: {
        params: ownParams,
        response: answers(200, RotateTokenResponse),
        summary:
          'Another API token for oneself (`me`) or, for administrators, another user; the old one is dead at once. Not with a sign-in cookie',
      },
    },
    async (request) => {
      requireToken(request);
      return { token: await revocation.rotateToken(whose(request), byOf(request)) };
    },
  );
}

function addSignIns(server: Server, { users, revocation }: HttpDeps): void {
  const path = '/api/users/:id/sign-ins';
  server.get(
    path,
    {
      schema: {
        params: ownParams,
        response: answers(200, SignInList),
        summary: 'Browsers in which oneself (`me`) or, for administrators, another user is signed in',
      },
    },
    async (request) => {
      const all = await users.signIns((await users.get(whose(request))).id);
      return { signIns: all.map((one) => ({ ...one, current: one.id === request.signIn })) };
    },
  );

  server.delete(
    path,
    {
      schema: {
        params: ownParams,
        response: answers(200, SignOutResponse),
        summary: 'Sign out everywhere: every browser, and every login link; the API token stays',
      },
    },
    async (request) => ({ ended: await revocation.signOutEverywhere(whose(request), byOf(request)) }),
  );

  server.delete(
    `${path}/:signIn`,
    {
      schema: {
        params: ownParams.extend({ signIn: SignInId }),
        response: answers(204, noContent),
        summary: 'Sign one browser out',
      },
    },
    async (request, reply) => {
      await revocation.endSignIn(whose(request), request.params.signIn, byOf(request));
      return reply.status(204).send(undefined);
    },
  );
}

/** The user of the path. @throws AppError not_found for another one, unless an administrator asks */
function whose(request: FastifyRequest<{ Params: { id: string } }>): string {
  const caller = userOf(request);
  const { id } = request.params;
  if (id === 'me' || id === caller.id || caller.role === 'admin') return id === 'me' ? caller.id : id;
  throw new AppError('not_found', `There is no user ${id}.`);
}

/** What outlives a sign-in is not made by one: a stolen cookie gives no token. @throws AppError forbidden */
function requireToken(request: FastifyRequest): void {
  if (request.via === 'token') return;
  throw new AppError('forbidden', 'Tokens are made by a program that has one, and not by a browser.', {
    hint: 'On the host: `npx airlock user --help`. Elsewhere send Authorization: Bearer.',
  });
}
