/** All providers, by id and by alias. */
import { AppError } from '../errors.js';
import type { ProviderFacts } from './facts.js';
import { providerIds, type Provider, type ProviderId } from './provider.js';
import * as registered from './registered.js';

const facts: Readonly<Record<ProviderId, ProviderFacts>> = registered;

export const providers = Object.fromEntries(
  providerIds.map((id): [ProviderId, Provider] => [id, { id, ...facts[id] }]),
) as Readonly<Record<ProviderId, Provider>>;

/** The provider with this id or alias, or undefined. */
export function findProvider(name: string): Provider | undefined {
  return Object.values(providers).find((provider) => provider.id === name || provider.aliases.includes(name));
}

/** The provider with this id or alias. @throws AppError provider_unknown naming those there are */
export function requireProvider(name: string): Provider {
  const provider = findProvider(name);
  if (provider) return provider;
  throw new AppError('provider_unknown', `No provider is called "${name}".`, {
    hint: `Known are ${providerIds.join(', ')}.`,
  });
}

/** One host of each provider: what is asked to find out whether there is a way to the internet. Any answer will do. */
export function trialHosts(): string[] {
  return Object.values(providers).flatMap(({ login }) => (login ? [login.hosts[0]] : []));
}
