/** Something that a person does with a session; its answer is the session, and is shown at once. */
import type { Session } from '@airlock/contract/session';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useApi } from '../api/api-context.js';
import type { Api } from '../api/api.js';

export function useSessionAction<V>(sessionId: string, action: (api: Api, value: V) => Promise<Session>) {
  const api = useApi();
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (value: V) => action(api, value),
    onSuccess: (session) => queryClient.setQueryData(['session', sessionId], session),
    // It may have moved on meanwhile: show how.
    onError: () => queryClient.invalidateQueries({ queryKey: ['session', sessionId] }),
  });
}
