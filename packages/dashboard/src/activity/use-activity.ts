/** What the activity page shows and does. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useApi } from '../api/api-context.js';

export function useRecords() {
  const api = useApi();
  return useInfiniteQuery({
    queryKey: ['audit'],
    queryFn: ({ pageParam, signal }) => api.audit(pageParam, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ records, more }) => (more ? records.at(-1)?.id : undefined),
  });
}

const signInsKey = ['sign-ins'];

export function useSignIns() {
  const api = useApi();
  return useQuery({ queryKey: signInsKey, queryFn: ({ signal }) => api.signIns(signal) });
}

export function useEndSignIn() {
  const api = useApi();
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: api.endSignIn,
    onSettled: () => queryClient.invalidateQueries({ queryKey: signInsKey }),
  });
}

/** Also here: this browser has to sign in again. */
export function useSignOutEverywhere() {
  const api = useApi();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: api.signOutEverywhere,
    onSuccess: async () => {
      await navigate({ to: '/login' });
      queryClient.clear();
    },
  });
}
