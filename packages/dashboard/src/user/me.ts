/** Who is signed in. */
import { queryOptions, useSuspenseQuery } from '@tanstack/react-query';
import type { Api } from '../api/api.js';
import { useApi } from '../api/api-context.js';

export const meQuery = (api: Api) =>
  queryOptions({ queryKey: ['me'], queryFn: ({ signal }) => api.me(signal), staleTime: 60_000 });

/** The signed-in user; the router has already loaded it for every page that needs one. */
export const useMe = () => useSuspenseQuery(meQuery(useApi())).data;
