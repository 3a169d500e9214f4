/** The stored credentials, and what can be done with one; everything that shows them is told when one has changed. */
import type { ProviderId } from '@airlock/contract/provider/provider';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useApi } from '../api/api-context.js';

const refreshMs = 5000;

export function useCredentials() {
  const api = useApi();
  return useQuery({
    queryKey: ['credentials'],
    queryFn: ({ signal }) => api.credentials(signal),
    refetchInterval: refreshMs,
  });
}

/** `newest` may still be under check while `active` goes on; each is undefined where there is none. */
export function useCredential(provider: ProviderId) {
  const own = (useCredentials().data ?? []).filter((one) => one.provider === provider);
  return {
    newest: own.toSorted((a, b) => b.generation - a.generation)[0],
    active: own.find((one) => one.state === 'active'),
  };
}

export function useCredentialActions(provider: ProviderId) {
  const api = useApi();
  const queryClient = useQueryClient();
  const onSettled = () =>
    Promise.all([
      queryClient.invalidateQueries({ queryKey: ['credentials'] }),
      queryClient.invalidateQueries({ queryKey: ['providers'] }),
    ]);
  return {
    check: useMutation({ mutationFn: () => api.checkCredential(provider), onSettled }),
    remove: useMutation({ mutationFn: () => api.removeCredential(provider), onSettled }),
    setApiKey: useMutation({ mutationFn: (key: string) => api.setApiKey(provider, key), onSettled }),
  };
}
