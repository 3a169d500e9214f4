/**
 * OpenAI as far as `codex login` needs it: authorize, log in, consent, token endpoint. Codes are for one use, PKCE and
 * redirect URI are verified. Observed with @openai/codex 0.169; keeps its state in memory.
 */
import { createHash, randomBytes } from 'node:crypto';
import { consentPage, errorPage, loginPage } from './pages.js';
import { canaryJwt, canaryOpaque } from './tokens.js';
import { formOf, html, json, redirect, text, type HostHandler, type WebRequest, type WebResponse } from './web.js';

export interface Account {
  email: string;
  password: string;
}

export interface CodexProviderOptions {
  account: Account;
  /** Text that every token contains; base64url characters only. */
  canaryToken: string;
}

/** How often each step of a sign-in was reached; a test asserts on these. */
export interface CodexCounts {
  authorizeRequests: number;
  wrongPasswords: number;
  logins: number;
  consents: number;
  denials: number;
  codesRedeemed: number;
  codesRefused: number;
  apiKeyExchanges: number;
}

export interface CodexProvider {
  hosts: Record<string, HostHandler>;
  counts: CodexCounts;
}

export const codexClientId = 'app_EMoamEEZ73f0CkXaXp7hrann';
/** What `codex login` may be called back at: the name and the port depend on its version and on which port is free. */
export const codexRedirectUri = /^http:\/\/(127\.0\.0\.1|localhost):(1455|1457)\/auth\/callback$/;

const codeLifetimeMs = 10 * 60_000;

/** One authorization under way, from the authorize request to the decision. */
interface Transaction {
  redirectUri: string;
  state: string;
  codeChallenge: string;
  loggedIn: boolean;
}

interface IssuedCode {
  redirectUri: string;
  codeChallenge: string;
  expiresAt: number;
}

interface Context {
  options: CodexProviderOptions;
  counts: CodexCounts;
  transactions: Map<string, Transaction>;
  codes: Map<string, IssuedCode>;
  idTokens: Set<string>;
}

export function createCodexProvider(options: CodexProviderOptions): CodexProvider {
  if (!/^[A-Za-z0-9_-]+$/.test(options.canaryToken))
    throw new TypeError('canaryToken must be base64url characters only');
  const counts: CodexCounts = {
    authorizeRequests: 0,
    wrongPasswords: 0,
    logins: 0,
    consents: 0,
    denials: 0,
    codesRedeemed: 0,
    codesRefused: 0,
    apiKeyExchanges: 0,
  };
  const context: Context = { options, counts, transactions: new Map(), codes: new Map(), idTokens: new Set() };
  return {
    counts,
    hosts: {
      'auth.openai.com': (request) => answerAuthHost(context, request),
      'api.openai.com': (request) => answerApiHost(request),
      'chatgpt.com': (request) => answerChatGpt(request),
    },
  };
}

function answerAuthHost(context: Context, request: WebRequest): WebResponse {
  switch (`${request.method} ${request.path}`) {
    case 'GET /oauth/authorize':
      return authorize(context, request);
    case 'GET /log-in':
      return showLogin(context, request);
    case 'POST /log-in':
      return logIn(context, request);
    case 'GET /consent':
      return showConsent(context, request);
    case 'POST /consent':
      return decide(context, request);
    case 'POST /oauth/token':
      return token(context, request);
    default:
      return html(404, errorPage(`There is no page ${request.path}.`));
  }
}

function authorize(context: Context, { query }: WebRequest): WebResponse {
  context.counts.authorizeRequests += 1;
  const required: Record<string, string> = {
    response_type: 'code',
    client_id: codexClientId,
    code_challenge_method: 'S256',
  };
  for (const [name, expected] of Object.entries(required)) {
    const found = query.get(name);
    if (found !== expected) return html(400, errorPage(`${name} is ${found ?? 'missing'}; expected ${expected}.`));
  }
  const redirectUri = query.get('redirect_uri') ?? '';
  if (!codexRedirectUri.test(redirectUri))
    return html(400, errorPage(`redirect_uri ${redirectUri} is not registered.`));
  const state = query.get('state') ?? '';
  const codeChallenge = query.get('code_challenge') ?? '';
  if (state.length < 8) return html(400, errorPage('state is missing or too short.'));
  if (!/^[A-Za-z0-9_-]{43}$/.test(codeChallenge))
    return html(400, errorPage('code_challenge is not a SHA-256 in base64url.'));
  const challenge = randomBytes(16).toString('hex');
  context.transactions.set(challenge, { redirectUri, state, codeChallenge, loggedIn: false });
  return redirect(302, `/log-in?challenge=${challenge}`);
}

const unknownTransaction = (): WebResponse =>
  html(400, errorPage('This sign-in has expired or was already finished. Start again from Codex.'));

function showLogin(context: Context, { query }: WebRequest): WebResponse {
  const challenge = query.get('challenge') ?? '';
  return context.transactions.has(challenge) ? html(200, loginPage({ challenge })) : unknownTransaction();
}

function logIn(context: Context, request: WebRequest): WebResponse {
  const form = formOf(request);
  const challenge = form.get('challenge') ?? '';
  const transaction = context.transactions.get(challenge);
  if (transaction === undefined) return unknownTransaction();
  const email = form.get('email') ?? '';
  const { account } = context.options;
  if (email !== account.email || form.get('password') !== account.password) {
    context.counts.wrongPasswords += 1;
    return html(400, loginPage({ challenge, email, error: 'Incorrect email address or password' }));
  }
  context.counts.logins += 1;
  transaction.loggedIn = true;
  return redirect(303, `/consent?challenge=${challenge}`);
}

function showConsent(context: Context, { query }: WebRequest): WebResponse {
  const challenge = query.get('challenge') ?? '';
  const transaction = context.transactions.get(challenge);
  if (transaction?.loggedIn !== true) return unknownTransaction();
  return html(200, consentPage(challenge, context.options.account.email));
}

function decide(context: Context, request: WebRequest): WebResponse {
  const form = formOf(request);
  const challenge = form.get('challenge') ?? '';
  const transaction = context.transactions.get(challenge);
  if (transaction?.loggedIn !== true) return unknownTransaction();
  context.transactions.delete(challenge);
  const { redirectUri, state, codeChallenge } = transaction;
  const callback = new URL(redirectUri);
  callback.searchParams.set('state', state);
  if (form.get('decision') !== 'allow') {
    context.counts.denials += 1;
    callback.searchParams.set('error', 'access_denied');
    callback.searchParams.set('error_description', 'The user refused to sign in.');
    return redirect(302, callback.href);
  }
  context.counts.consents += 1;
  const code = canaryOpaque('ac', randomBytes(8).toString('hex'));
  context.codes.set(code, { redirectUri, codeChallenge, expiresAt: Date.now() + codeLifetimeMs });
  callback.searchParams.set('code', code);
  return redirect(302, callback.href);
}

function token(context: Context, request: WebRequest): WebResponse {
  const form = formOf(request);
  const grant = form.get('grant_type');
  if (form.get('client_id') !== codexClientId) return oauthError('invalid_client', 'Unknown client_id.', 401);
  if (grant === 'authorization_code') return redeem(context, form);
  if (grant === 'urn:ietf:params:oauth:grant-type:token-exchange') return exchange(context, form);
  return oauthError('unsupported_grant_type', `grant_type ${grant ?? 'missing'} is not simulated.`);
}

function redeem(context: Context, form: URLSearchParams): WebResponse {
  const code = form.get('code') ?? '';
  const issued = context.codes.get(code);
  // Any attempt uses the code up, also a wrong one.
  context.codes.delete(code);
  const problem = problemWithRedemption(issued, form);
  if (issued === undefined || problem !== undefined) {
    context.counts.codesRefused += 1;
    return oauthError('invalid_grant', problem ?? 'The code is unknown.');
  }
  context.counts.codesRedeemed += 1;
  return json(200, issueTokens(context));
}

function problemWithRedemption(issued: IssuedCode | undefined, form: URLSearchParams): string | undefined {
  if (issued === undefined) return 'The code is unknown or was used before.';
  if (issued.expiresAt < Date.now()) return 'The code has expired.';
  if (form.get('redirect_uri') !== issued.redirectUri) return 'redirect_uri is not the one of the authorize request.';
  const verifier = form.get('code_verifier') ?? '';
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return 'code_verifier is missing or malformed.';
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  return challenge === issued.codeChallenge ? undefined : 'code_verifier does not match code_challenge.';
}

function exchange(context: Context, form: URLSearchParams): WebResponse {
  if (form.get('requested_token') !== 'openai-api-key')
    return oauthError('invalid_request', 'Unknown requested_token.');
  if (!context.idTokens.has(form.get('subject_token') ?? ''))
    return oauthError('invalid_grant', 'Unknown subject_token.');
  context.counts.apiKeyExchanges += 1;
  return json(200, { access_token: canaryOpaque('sk-proj', context.options.canaryToken) });
}

function issueTokens({ options, idTokens }: Context): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const { email } = options.account;
  const auth = {
    chatgpt_account_id: '6d6d5a3e-0000-4000-8000-000000000001',
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

function answerApiHost(request: WebRequest): WebResponse {
  if (request.path === '/v1/models') return json(200, { object: 'list', data: [] });
  return json(404, { error: { message: `${request.path} is not simulated.`, type: 'invalid_request_error' } });
}

function answerChatGpt(request: WebRequest): WebResponse {
  if (request.path === '/') return html(200, '<!doctype html><title>ChatGPT</title><h1>ChatGPT (simulated)</h1>');
  return text(404, `${request.path} is not simulated.`);
}
