/** What the vault holds of the caller: look, check, remove, replace by an API key. Never a secret in an answer. */
import { z } from 'zod';
import {
  ApiKeyRequest,
  ApiKeyResponse,
  CredentialList,
  CredentialSummary,
  RemoveCredentialResponse,
} from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { requireProvider } from '@airlock/contract/provider/registry';
import { isFinal } from '@airlock/contract/session';
import { answers } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
import { note } from '../note.js';

/** An id or an alias; an unknown one has its own error. */
const params = z.strictObject({ provider: z.string().min(1).max(64) });

export function addCredentialRoutes(server: Server, deps: HttpDeps): void {
  addLook(server, deps);
  addChange(server, deps);
}

function addLook(server: Server, { custodian }: HttpDeps): void {
  server.get(
    '/api/credentials',
    {
      schema: {
        response: answers(200, CredentialList),
        summary: 'What the vault holds of the caller, without secrets',
      },
    },
    async (request) => ({ credentials: await custodian.list(userOf(request).id) }),
  );

  server.post(
    '/api/credentials/:provider/check',
    {
      schema: {
        params,
        response: answers(200, CredentialSummary),
        summary: 'Ask the CLI in the CLI VM whether its login works; starts the VM when it is stopped',
      },
    },
    async (request) =>
      custodian.check({ userId: userOf(request).id, provider: requireProvider(request.params.provider).id }),
  );
}

function addChange(server: Server, deps: HttpDeps): void {
  const { custodian, sessions } = deps;
  server.delete(
    '/api/credentials/:provider',
    {
      schema: {
        params,
        response: answers(200, RemoveCredentialResponse),
        summary: 'Remove a credential from the vault and from the CLI VM; nobody is logged out at the provider',
      },
    },
    async (request) => {
      const owner = { userId: userOf(request).id, provider: requireProvider(request.params.provider).id };
      await assertNoSession(sessions, owner.userId, owner.provider);
      return custodian.remove(owner, ({ userId, provider }, tx) =>
        note(deps, request, { action: 'credential_removed', userId, subject: provider }, tx),
      );
    },
  );

  server.put(
    '/api/credentials/:provider/api-key',
    {
      schema: {
        params,
        body: ApiKeyRequest,
        response: answers(202, ApiKeyResponse),
        summary: 'Store an API key once the CLI accepts it; GET /api/credentials tells how it went',
      },
    },
    async (request, reply) => {
      const provider = requireProvider(request.params.provider).id;
      const { id } = userOf(request);
      await assertNoSession(sessions, id, provider);
      const details = { method: 'api_key' };
      await note(deps, request, { action: 'credential_stored', userId: id, subject: provider, details });
      const { lineage } = await custodian.setApiKey({ userId: id, provider }, request.body.key);
      return reply.status(202).send({ provider, generation: lineage });
    },
  );
}

async function assertNoSession(sessions: HttpDeps['sessions'], userId: string, provider: ProviderId): Promise<void> {
  const open = (await sessions.list(userId)).find((one) => one.provider === provider && !isFinal(one.status));
  if (!open) return;
  throw new AppError('session_busy', `A sign-in for ${provider} is under way (${open.id}).`, {
    hint: 'Finish it, or cancel it first.',
  });
}
