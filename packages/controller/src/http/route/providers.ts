/** What can be connected, and what is. */
import { ProviderList } from '@airlock/contract/api';
import { providers } from '@airlock/contract/provider/registry';
import { answers } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
import { summarize } from '../provider-summary.js';

export function addProviderRoutes(server: Server, { sessions, custodian }: HttpDeps): void {
  server.get(
    '/api/providers',
    { schema: { response: answers(200, ProviderList), summary: 'All providers, each with its state for the caller' } },
    async (request) => {
      const { id } = userOf(request);
      const [own, credentials] = await Promise.all([sessions.list(id), custodian.list(id)]);
      return { providers: Object.values(providers).map((provider) => summarize(provider, own, credentials)) };
    },
  );
}
