/** The part of the simulated OpenAI that a person sees: authorize request, log in, consent, and back to the CLI. */
import { randomBytes } from 'node:crypto';
import { codeLifetimeMs, codexClientId, codexRedirectUri, type CodexState } from './codex-state.js';
import { consentPage, errorPage, loginPage } from './pages.js';
import { formOf, html, redirect, type WebRequest, type WebResponse } from './web.js';

export function authorize(provider: CodexState, { query }: WebRequest): WebResponse {
  provider.counts.authorizeRequests += 1;
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
  provider.transactions.set(challenge, { kind: 'browser', redirectUri, state, codeChallenge, loggedIn: false });
  return redirect(302, `/log-in?challenge=${challenge}`);
}

const unknownTransaction = (): WebResponse =>
  html(400, errorPage('This sign-in has expired or was already finished. Start again from Codex.'));

export function showLogin(provider: CodexState, { query }: WebRequest): WebResponse {
  const challenge = query.get('challenge') ?? '';
  return provider.transactions.has(challenge) ? html(200, loginPage({ challenge })) : unknownTransaction();
}

export function logIn(provider: CodexState, request: WebRequest): WebResponse {
  const form = formOf(request);
  const challenge = form.get('challenge') ?? '';
  const transaction = provider.transactions.get(challenge);
  if (transaction === undefined) return unknownTransaction();
  const email = form.get('email') ?? '';
  const { account } = provider.options;
  if (email !== account.email || form.get('password') !== account.password) {
    provider.counts.wrongPasswords += 1;
    return html(400, loginPage({ challenge, email, error: 'Incorrect email address or password' }));
  }
  provider.counts.logins += 1;
  transaction.loggedIn = true;
  return redirect(303, `${transaction.kind === 'device' ? '/codex/device/code' : '/consent'}?challenge=${challenge}`);
}

export function showConsent(provider: CodexState, { query }: WebRequest): WebResponse {
  const challenge = query.get('challenge') ?? '';
  const transaction = provider.transactions.get(challenge);
  if (transaction?.loggedIn !== true) return unknownTransaction();
  return html(200, consentPage(challenge, provider.options.account.email));
}

export function decide(provider: CodexState, request: WebRequest): WebResponse {
  const form = formOf(request);
  const challenge = form.get('challenge') ?? '';
  const transaction = provider.transactions.get(challenge);
  if (transaction?.kind !== 'browser' || !transaction.loggedIn) return unknownTransaction();
  provider.transactions.delete(challenge);
  const { redirectUri, state, codeChallenge } = transaction;
  const callback = new URL(redirectUri);
  callback.searchParams.set('state', state);
  if (form.get('decision') !== 'allow') {
    provider.counts.denials += 1;
    callback.searchParams.set('error', 'access_denied');
    callback.searchParams.set('error_description', 'The user refused to sign in.');
    return redirect(302, callback.href);
  }
  provider.counts.consents += 1;
  const code = `ac_${randomBytes(32).toString('base64url')}`;
  provider.codes.set(code, { redirectUri, codeChallenge, expiresAt: Date.now() + codeLifetimeMs });
  callback.searchParams.set('code', code);
  return redirect(302, callback.href);
}
