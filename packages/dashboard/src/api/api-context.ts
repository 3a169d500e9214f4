/** Hands the API client to components. */
import { createContext, use } from 'react';
import type { Api } from './api.js';

export const ApiContext = createContext<Api | null>(null);

/** The API client; only inside `ApiContext`. */
export function useApi(): Api {
  const api = use(ApiContext);
  if (api === null) throw new Error('useApi was called outside of ApiContext');
  return api;
}
