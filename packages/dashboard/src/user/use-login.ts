/** Exchanges the one-time token of a login link for the sign-in cookie. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { useApi } from '../api/api-context.js';
import { meQuery } from './me.js';

/** Takes the token out of the address bar, so that it stays neither there nor in the history. */
function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (location.hash !== '') history.replaceState(history.state, '', location.pathname + location.search);
  return token;
}

/** `hasToken` is false when the page was opened without a login link. Who is signed in is taken to the provider page. */
export function useLogin() {
  const api = useApi();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const [hasToken, setHasToken] = useState(() => location.hash.includes('token='));
  const exchanged = useRef<string | null>(null);
  const { mutate, error } = useMutation({
    mutationFn: api.login,
    onSuccess: (user) => {
      queryClient.setQueryData(meQuery(api).queryKey, user);
      return navigate({ to: '/remote-cli', replace: true });
    },
  });

  useEffect(() => {
    const exchange = () => {
      const token = takeToken();
      // A token is good once: never send it twice, even when React runs this effect again.
      if (token === null || token === exchanged.current) return;
      exchanged.current = token;
      setHasToken(true);
      mutate(token);
    };
    exchange();
    window.addEventListener('hashchange', exchange);
    return () => window.removeEventListener('hashchange', exchange);
  }, [mutate]);

  const signedIn = useSignedIn(!hasToken);
  useEffect(() => {
    if (signedIn) void navigate({ to: '/remote-cli', replace: true });
  }, [signedIn, navigate]);

  return { hasToken, error };
}

/** Asks the server anew: what this page remembers may be from before a sign-out. */
function useSignedIn(enabled: boolean): boolean {
  const { isSuccess, isFetchedAfterMount } = useQuery({ ...meQuery(useApi()), enabled, retry: false, staleTime: 0 });
  return enabled && isSuccess && isFetchedAfterMount;
}
