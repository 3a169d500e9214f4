/** What the admin page shows. */
import { useQuery } from '@tanstack/react-query';
import { useApi } from '../api/api-context.js';

const refreshMs = 5000;

export function useSystem() {
  const api = useApi();
  return useQuery({ queryKey: ['system'], queryFn: ({ signal }) => api.system(signal), refetchInterval: refreshMs });
}

export function useUsers() {
  const api = useApi();
  return useQuery({ queryKey: ['users'], queryFn: ({ signal }) => api.users(signal), refetchInterval: refreshMs });
}
