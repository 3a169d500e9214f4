/**
 * Google's token endpoint: codes are for one use, client, redirect URI and PKCE (where it was announced) are verified. Unlike
 * others, Google gives no new refresh token when one is used: it stays valid until it is revoked.
 */
import { createHash } from 'node:crypto';
import { accessLifetimeS, geminiClient, geminiScopes, type GoogleState, type IssuedCode } from './google-state.js';
import { canaryJwt, canaryOpaque } from './tokens.js';
import { bearerOf, formOf, json, type WebRequest, type WebResponse } from './web.js';

/** POST oauth2.googleapis.com/token */
export function token(provider: GoogleState, request: WebRequest): WebResponse {
  const form = formOf(request);
  if (form.get('client_id') !== geminiClient.id || form.get('client_secret') !== geminiClient.secret)
    return oauthError('invalid_client', 'The OAuth client was not found.', 401);
  const grant = form.get('grant_type');
  if (grant === 'authorization_code') return redeem(provider, form);
  if (grant === 'refresh_token') return refresh(provider, form);
  return oauthError('unsupported_grant_type', `Invalid grant_type: ${grant ?? ''}`);
}

function redeem(provider: GoogleState, form: URLSearchParams): WebResponse {
  const code = form.get('code') ?? '';
  const issued = provider.codes.get(code);
  // Any attempt uses the code up, also a wrong one.
  provider.codes.delete(code);
  const problem = problemWithRedemption(issued, form);
  if (problem !== null) {
    provider.counts.codesRefused += 1;
    return oauthError('invalid_grant', problem);
  }
  provider.counts.codesRedeemed += 1;
  const refreshToken = canaryOpaque('1//0f', provider.options.canaryToken);
  provider.refreshTokens.add(refreshToken);
  return json(200, { ...freshTokens(provider), refresh_token: refreshToken });
}

function problemWithRedemption(issued: IssuedCode | undefined, form: URLSearchParams): string | null {
  if (issued === undefined) return 'Malformed auth code.';
  if (issued.expiresAt < Date.now()) return 'Bad Request';
  if (form.get('redirect_uri') !== issued.redirectUri) return 'redirect_uri_mismatch';
  if (issued.codeChallenge === null) return null;
  const challenge = createHash('sha256')
    .update(form.get('code_verifier') ?? '')
    .digest('base64url');
  return challenge === issued.codeChallenge ? null : 'Invalid code verifier.';
}

function refresh(provider: GoogleState, form: URLSearchParams): WebResponse {
  if (!provider.refreshTokens.has(form.get('refresh_token') ?? '')) {
    provider.counts.refreshesRefused += 1;
    return oauthError('invalid_grant', 'Token has been expired or revoked.');
  }
  provider.counts.refreshes += 1;
  return json(200, freshTokens(provider));
}

function freshTokens({ options, accessTokens }: GoogleState): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const access = canaryOpaque('ya29.a0', options.canaryToken);
  accessTokens.set(access, Date.now() + accessLifetimeS * 1000);
  const claims = {
    iss: 'https://accounts.google.com',
    azp: geminiClient.id,
    aud: geminiClient.id,
    sub: '100000000000000000001',
    email: options.account.email,
    email_verified: true,
    iat: now,
    exp: now + 3600,
  };
  return {
    access_token: access,
    expires_in: accessLifetimeS,
    scope: [...geminiScopes, 'openid'].join(' '),
    token_type: 'Bearer',
    id_token: canaryJwt(claims, options.canaryToken, 'id'),
  };
}

/** Whether the request carries an access token that is still good; counts those that do not. */
export function isAuthenticated(provider: GoogleState, request: WebRequest): boolean {
  const isLive = (provider.accessTokens.get(bearerOf(request)) ?? 0) > Date.now();
  if (!isLive) provider.counts.unauthenticated += 1;
  return isLive;
}

/** POST oauth2.googleapis.com/tokeninfo */
export function tokenInfo(provider: GoogleState, request: WebRequest): WebResponse {
  if (!isAuthenticated(provider, request)) return oauthError('invalid_token', 'Invalid Value');
  const leftMs = (provider.accessTokens.get(bearerOf(request)) ?? 0) - Date.now();
  return json(200, {
    azp: geminiClient.id,
    aud: geminiClient.id,
    scope: [...geminiScopes, 'openid'].join(' '),
    expires_in: String(Math.floor(leftMs / 1000)),
    email: provider.options.account.email,
    email_verified: 'true',
    access_type: 'offline',
  });
}

/** GET www.googleapis.com/oauth2/v2/userinfo */
export function userInfo(provider: GoogleState, request: WebRequest): WebResponse {
  if (!isAuthenticated(provider, request)) return unauthenticated();
  const { email } = provider.options.account;
  return json(200, { id: '100000000000000000001', email, verified_email: true, name: 'Test Person' });
}

/** What every API of Google answers to a token that it does not accept. */
export function unauthenticated(): WebResponse {
  const message =
    'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.';
  return json(401, { error: { code: 401, message, status: 'UNAUTHENTICATED' } });
}

function oauthError(error: string, description: string, status = 400): WebResponse {
  return json(status, { error, error_description: description });
}
