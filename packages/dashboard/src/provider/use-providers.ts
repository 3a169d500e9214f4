/** The providers and their state, refreshed while somebody looks. */
import { useQuery } from '@tanstack/react-query';
import { useApi } from '../api/api-context.js';

const refreshMs = 5000;

export function useProviders() {
  const api = useApi();
  return useQuery({
    queryKey: ['providers'],
    queryFn: ({ signal }) => api.providers(signal),
    refetchInterval: refreshMs,
    refetchOnWindowFocus: 'always',
  });
}
