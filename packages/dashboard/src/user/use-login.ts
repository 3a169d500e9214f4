/** What a login link is for, and its exchange for a sign-in once the person has said yes. */
import { AppError } from '@airlock/contract/errors';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useApi } from '../api/api-context.js';
import { meQuery } from './me.js';

/** Takes the token out of the address bar, so that it stays neither there nor in the history. */
function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (location.hash !== '') history.replaceState(history.state, '', location.pathname + location.search);
  return token;
}

/** The token of the link that this page was opened with, or null. A link that is opened in its place counts. */
function useToken(): string | null {
  const [token, setToken] = useState<string | null>(null);
  useEffect(() => {
    const take = () => setToken((known) => takeToken() ?? known);
    take();
    window.addEventListener('hashchange', take);
    return () => window.removeEventListener('hashchange', take);
  }, []);
  return token;
}

export type Login =
  | { stage: 'no-link' }
  | { stage: 'loading' }
  /** `present`: who is signed in in this browser; null for nobody, undefined for somebody whom this page does not know. */
  | { stage: 'asking'; account: string; present: string | null | undefined; isPending: boolean; agree(): void }
  | { stage: 'failed'; error: AppError };

/** Who comes without a link and is signed in is taken to the provider page. */
export function useLogin(): Login {
  const hadToken = useState(() => location.hash.includes('token='))[0];
  const token = useToken();
  const account = useAccount(token);
  const present = usePresent();
  const exchange = useExchange();
  const isAtHome = token === null && !hadToken && present.name !== null;
  const navigate = useNavigate();
  useEffect(() => {
    if (isAtHome) void navigate({ to: '/remote-cli', replace: true });
  }, [isAtHome, navigate]);

  if (token === null) return { stage: hadToken ? 'loading' : 'no-link' };
  const failure = exchange.variables?.token === token ? exchange.error : null;
  const isTaken = failure !== null && AppError.from(failure).code === 'other_user_signed_in';
  const error = account.error ?? (isTaken ? null : failure);
  if (error !== null) return { stage: 'failed', error: AppError.from(error) };
  if (account.data === undefined || present.isPending) return { stage: 'loading' };
  const { userName } = account.data;
  // The server has looked at the cookie, this page at the whole sign-in: it can lack the page secret.
  const isOther = isTaken || (present.name !== null && present.name !== userName);
  return {
    ...{ stage: 'asking', account: userName, isPending: exchange.isPending },
    present: isTaken && present.name === null ? undefined : present.name,
    agree: () => exchange.mutate({ token, replace: isOther }),
  };
}

function useAccount(token: string | null) {
  const api = useApi();
  return useQuery({
    queryKey: ['login-account', token],
    queryFn: () => api.loginAccount(token ?? ''),
    enabled: token !== null,
    ...{ retry: false, staleTime: Infinity, gcTime: 0 },
  });
}

/** Asks the server anew: what this page remembers may be from before a sign-out. */
function usePresent(): { name: string | null; isPending: boolean } {
  const query = useQuery({ ...meQuery(useApi()), retry: false, staleTime: 0 });
  const { data, isSuccess, isFetchedAfterMount } = query;
  return { name: isFetchedAfterMount && isSuccess ? data.name : null, isPending: !isFetchedAfterMount };
}

function useExchange() {
  const api = useApi();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: ({ token, replace }: { token: string; replace: boolean }) => api.login(token, replace),
    onSuccess: async (user) => {
      // What is remembered may be of somebody else.
      queryClient.clear();
      queryClient.setQueryData(meQuery(api).queryKey, user);
      await navigate({ to: '/remote-cli', replace: true });
    },
  });
}
