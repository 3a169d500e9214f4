/** How the CLI of a provider signs in, as the agent looks it up. */
import { AppError } from '@airlock/contract/errors';
import type { ProviderLogin } from '@airlock/contract/provider/facts';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';

/** @throws AppError provider_unavailable */
export type LoginOf = (provider: ProviderId) => ProviderLogin;

export const loginOf: LoginOf = (provider) => {
  const { login } = providers[provider];
  if (login) return login;
  throw new AppError('provider_unavailable', `The agent cannot drive a login for ${provider} yet.`);
};
