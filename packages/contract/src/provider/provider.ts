/** A provider by its id. What is known of each stands in its own file; which there are, in registered.ts. */
import { z } from 'zod';
import type { ProviderFacts } from './facts.js';
import * as registered from './registered.js';

export type ProviderId = keyof typeof registered;
export const providerIds = Object.keys(registered) as readonly ProviderId[];
export const ProviderId = z.enum(providerIds);

export interface Provider extends ProviderFacts {
  id: ProviderId;
}
