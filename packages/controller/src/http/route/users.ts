/** People, for administrators. */
import { CreateUserRequest, CreateUserResponse, UserList } from '@airlock/contract/api';
import { answers } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';

export function addUserRoutes(server: Server, { users }: HttpDeps): void {
  const config = { access: 'admin' } as const;

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
        summary: 'Make a user; the answer holds the API token, this once',
      },
    },
    async (request, reply) => reply.status(201).send(await users.create(request.body.name)),
  );
}
