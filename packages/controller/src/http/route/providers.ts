/** What can be connected, and what is. */
import { CredentialList, ProviderList } from '@airlock/contract/api';
import { providers } from '@airlock/contract/provider/registry';
import { answers } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
import { summarize } from '../provider-summary.js';

export function addProviderRoutes(server: Server, { sessions, vault }: HttpDeps): void {
  server.get(
    '/api/providers',
    { schema: { response: answers(200, ProviderList), summary: 'All providers, each with its state for the caller' } },
    async (request) => {
      const { id } = userOf(request);
      const [own, credentials] = await Promise.all([sessions.list(id), vault.list(id)]);
      return { providers: Object.values(providers).map((provider) => summarize(provider, own, credentials)) };
    },
  );

  server.get(
    '/api/credentials',
    {
      schema: {
        response: answers(200, CredentialList),
        summary: 'What the vault holds of the caller, without secrets',
      },
    },
    async (request) => ({ credentials: await vault.list(userOf(request).id) }),
  );
}
