/** What a CLI's words mean that refuse a login. Pure. */
import type { ProviderLogin, Refusal } from './facts.js';

/** The first refusal of this provider that `output` tells of, or undefined. */
export function refusalIn(login: Pick<ProviderLogin, 'refusals'> | null, output: string): Refusal | undefined {
  return login?.refusals?.find(({ words }) => words.test(output));
}
