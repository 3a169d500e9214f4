/** The query cache: when to retry, and what a lost sign-in does. */
import { AppError } from '@airlock/contract/errors';
import { QueryCache, QueryClient } from '@tanstack/react-query';

/** `onSignedOut` is called when a query that had worked is answered with `unauthenticated`. */
export function createQueryClient(onSignedOut: () => void): QueryClient {
  const client = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (AppError.from(error).code !== 'unauthenticated' || query.queryKey[0] === 'me') return;
        client.clear();
        onSignedOut();
      },
    }),
    defaultOptions: {
      queries: {
        // The controller is often on loopback, which `navigator.onLine` knows nothing about.
        networkMode: 'always',
        retry: (failures, error) => failures < 2 && AppError.from(error).status >= 500,
        retryDelay: 800,
      },
      mutations: { networkMode: 'always' },
    },
  });
  return client;
}
