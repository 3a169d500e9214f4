/** The token endpoint of the simulated OpenAI: codes are for one use; PKCE, client and redirect URI are verified. */
import { codexAccountId, codexClientId, type CodexState } from './codex-state.js';
import { canaryJwt, canaryOpaque } from './tokens.js';
import { formOf, json, type WebRequest, type WebResponse } from './web.js';

export function token(provider: CodexState, request: WebRequest): WebResponse {
  const form = formOf(request);
  const grant = form.get('grant_type');
  if (form.get('client_id') !== codexClientId) return oauthError('invalid_client', 'Unknown client_id.', 401);
  if (grant === 'authorization_code') return redeem(provider, form);
  if (grant === 'urn:ietf:params:oauth:grant-type:token-exchange') return exchange(provider, form);
  return oauthError('unsupported_grant_type', `grant_type ${grant ?? 'missing'} is not simulated.`);
}

function redeem(provider: CodexState, form: URLSearchParams): WebResponse {
  const field = (name: string): string => form.get(name) ?? '';
  const redeemed = provider.codes.redeem(field('code'), field('redirect_uri'), field('code_verifier'));
  if ('problem' in redeemed) {
    provider.counts.codesRefused += 1;
    return oauthError('invalid_grant', redeemed.problem);
  }
  provider.counts.codesRedeemed += 1;
  return json(200, issueTokens(provider));
}

function exchange(provider: CodexState, form: URLSearchParams): WebResponse {
  if (form.get('requested_token') !== 'openai-api-key')
    return oauthError('invalid_request', 'Unknown requested_token.');
  if (!provider.idTokens.has(form.get('subject_token') ?? ''))
    return oauthError('invalid_grant', 'Unknown subject_token.');
  provider.counts.apiKeyExchanges += 1;
  const key = canaryOpaque('sk-proj', provider.options.canaryToken);
  provider.apiKeys.add(key);
  return json(200, { access_token: key });
}

export function issueTokens({ options, idTokens, accessTokens }: CodexState): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const { email } = options.account;
  const auth = {
    chatgpt_account_id: codexAccountId,
    chatgpt_plan_type: 'plus',
    chatgpt_user_id: 'user-fake',
    user_id: 'user-fake',
    completed_platform_onboarding: true,
    is_org_owner: true,
    organizations: [{ id: 'org-fake', is_default: true, role: 'owner', title: 'Personal' }],
    groups: [],
  };
  const common = { iss: 'https://auth.openai.com', sub: 'auth0|fake', iat: now, 'https://api.openai.com/auth': auth };
  const idToken = canaryJwt(
    {
      ...common,
      aud: [codexClientId],
      exp: now + 3600,
      auth_time: now,
      email,
      email_verified: true,
      name: 'Test Person',
    },
    options.canaryToken,
    'id',
  );
  const accessToken = canaryJwt(
    {
      ...common,
      aud: ['https://api.openai.com/v1'],
      exp: now + 10 * 86_400,
      client_id: codexClientId,
      scp: ['openid', 'profile', 'email', 'offline_access'],
      'https://api.openai.com/profile': { email, email_verified: true },
    },
    options.canaryToken,
    'access',
  );
  idTokens.add(idToken);
  accessTokens.add(accessToken);
  return {
    id_token: idToken,
    access_token: accessToken,
    refresh_token: canaryOpaque('rt', options.canaryToken),
    token_type: 'Bearer',
    expires_in: 10 * 86_400,
    scope: 'openid profile email offline_access',
  };
}

function oauthError(error: string, description: string, status = 400): WebResponse {
  return json(status, { error, error_description: description });
}
