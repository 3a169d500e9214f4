/** Starts a sign-in and goes to its page. */
import type { ProviderId } from '@airlock/contract/provider/provider';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useApi } from '../api/api-context.js';

export function useStartSession() {
  const api = useApi();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: (provider: ProviderId) => api.startSession(provider),
    onSuccess: ({ sessionId }) => navigate({ to: '/remote-cli/auth', search: { session: sessionId } }),
    // After `session_busy` the card must offer the session that is already under way.
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['providers'] }),
  });
}
