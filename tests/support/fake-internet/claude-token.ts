/**
 * Anthropic's token endpoint: codes are for one use; client, redirect URI, state and PKCE are verified. A refresh token is
 * for one use too: using one that was used before is refused, and ends nothing else.
 */
import { accessLifetimeS, claudeAccount, claudeClientId, type ClaudeState } from './claude-state.js';
import { canaryOpaque } from './tokens.js';
import { bearerOf, json, jsonOf, type WebRequest, type WebResponse } from './web.js';

/** POST platform.claude.com/v1/oauth/token, in JSON. */
export function token(provider: ClaudeState, request: WebRequest): WebResponse {
  const body = jsonOf(request);
  const field = (name: string): string => (typeof body[name] === 'string' ? body[name] : '');
  if (field('client_id') !== claudeClientId) return oauthError('invalid_client', 'Unknown client_id.', 401);
  if (field('grant_type') === 'authorization_code') return redeem(provider, field);
  if (field('grant_type') === 'refresh_token') return refresh(provider, field('refresh_token'));
  return oauthError('unsupported_grant_type', `grant_type ${field('grant_type') || 'missing'} is not simulated.`);
}

function redeem(provider: ClaudeState, field: (name: string) => string): WebResponse {
  const redeemed = provider.codes.redeem(field('code'), field('redirect_uri'), field('code_verifier'));
  const isOwnState = 'binding' in redeemed && redeemed.binding.state === field('state');
  if (!isOwnState) {
    provider.counts.codesRefused += 1;
    const problem = 'problem' in redeemed ? redeemed.problem : 'state is not the one of the authorize request.';
    return oauthError('invalid_grant', problem);
  }
  provider.counts.codesRedeemed += 1;
  return issueTokens(provider, redeemed.binding.scope);
}

function refresh(provider: ClaudeState, refreshToken: string): WebResponse {
  const scope = provider.refreshTokens.get(refreshToken);
  if (scope === undefined) {
    provider.counts.refreshesRefused += 1;
    return oauthError('invalid_grant', 'Refresh token not found or invalid');
  }
  provider.refreshTokens.delete(refreshToken);
  provider.counts.refreshes += 1;
  return issueTokens(provider, scope);
}

function issueTokens({ options, refreshTokens, accessTokens }: ClaudeState, scope: string): WebResponse {
  const access = canaryOpaque('sk-ant-oat01', options.canaryToken);
  const refreshToken = canaryOpaque('sk-ant-ort01', options.canaryToken);
  accessTokens.set(access, Date.now() + accessLifetimeS * 1000);
  refreshTokens.set(refreshToken, scope);
  return json(200, {
    token_type: 'Bearer',
    access_token: access,
    expires_in: accessLifetimeS,
    refresh_token: refreshToken,
    scope,
    organization: { uuid: claudeAccount.organizationUuid, name: claudeAccount.organizationName },
    account: { uuid: claudeAccount.uuid, email_address: options.account.email },
  });
}

/** Whether the request carries a live access token or a known API key; counts those that do not. */
export function isAuthenticated(provider: ClaudeState, request: WebRequest): boolean {
  const isLive = !provider.refusesLogins && (provider.accessTokens.get(bearerOf(request)) ?? 0) > Date.now();
  const key = request.headers['x-api-key'];
  const isKnown = typeof key === 'string' && provider.apiKeys.has(key);
  if (!isLive && !isKnown) provider.counts.unauthenticated += 1;
  return isLive || isKnown;
}

function oauthError(error: string, description: string, status = 400): WebResponse {
  return json(status, { error, error_description: description });
}
