/**
 * Google as far as the Gemini CLI needs it: account pages, tokens, Code Assist, the public API by key, and the hosts that the
 * CLI reports to. Observed with @google/gemini-cli 0.61; keeps its state in memory.
 */
import { randomBytes } from 'node:crypto';
import { authorize, google } from './google-authorize.js';
import { answerCodeAssist, bodyOf, eventStream, replyTo } from './google-code-assist.js';
import {
  codeLifetimeMs,
  type GoogleCounts,
  type GoogleProviderOptions,
  type GoogleStanding,
  type GoogleState,
} from './google-state.js';
import { token, tokenInfo, userInfo } from './google-token.js';
import { errorPage, messagePage } from './pages.js';
import { createSignInPages, noSignIns } from './sign-in-pages.js';
import { html, json, type HostHandler, type WebRequest, type WebResponse } from './web.js';

export interface GoogleProvider {
  hosts: Record<string, HostHandler>;
  counts: GoogleCounts;
  /** From now on this API key is known. */
  addApiKey(key: string): void;
  /** From now on this is what Code Assist thinks of the account; `licensed` at first. */
  setStanding(standing: GoogleStanding): void;
  /** No access token issued so far works any longer; refresh tokens do. */
  expireAccessTokens(): void;
  /** No token issued so far works any longer, as after "remove access" in the account's settings. */
  revokeAll(): void;
}

export function createGoogleProvider(options: GoogleProviderOptions): GoogleProvider {
  const state = createState(options);
  return {
    counts: state.counts,
    hosts: {
      'accounts.google.com': (request) => answerAccounts(state, request),
      'oauth2.googleapis.com': (request) => answerOauth(state, request),
      'www.googleapis.com': (request) =>
        request.path === '/oauth2/v2/userinfo' ? userInfo(state, request) : missing(request),
      'cloudcode-pa.googleapis.com': (request) => answerCodeAssist(state, request),
      'generativelanguage.googleapis.com': (request) => answerPublicApi(state, request),
      'codeassist.google.com': showCode,
      'developers.google.com': showEnd,
      // Usage statistics.
      'play.googleapis.com': () => json(200, {}),
    },
    addApiKey: (key) => void state.apiKeys.add(key),
    setStanding: (standing) => void (state.standing = standing),
    expireAccessTokens: () => state.accessTokens.clear(),
    revokeAll: () => {
      state.accessTokens.clear();
      state.refreshTokens.clear();
    },
  };
}

function createState(options: GoogleProviderOptions): GoogleState {
  const counts: GoogleCounts = {
    ...noSignIns(),
    codesRedeemed: 0,
    codesRefused: 0,
    refreshes: 0,
    refreshesRefused: 0,
    onboardings: 0,
    prompts: 0,
    unauthenticated: 0,
  };
  const codes: GoogleState['codes'] = new Map();
  const pages: GoogleState['pages'] = createSignInPages({
    brand: google,
    account: options.account,
    counts,
    issueCode: ({ redirectUri, codeChallenge }) => {
      const code = `4/0${randomBytes(36).toString('base64url')}`;
      codes.set(code, { redirectUri, codeChallenge, expiresAt: Date.now() + codeLifetimeMs });
      return code;
    },
    callbackExtras: { scope: 'email profile openid', authuser: '0', prompt: 'consent' },
  });
  return {
    options,
    counts,
    pages,
    codes,
    refreshTokens: new Set(),
    accessTokens: new Map(),
    apiKeys: new Set(),
    standing: 'licensed',
    onboarded: false,
    operations: new Map(),
  };
}

function answerAccounts(state: GoogleState, request: WebRequest): WebResponse {
  if (`${request.method} ${request.path}` === 'GET /o/oauth2/v2/auth') return authorize(state, request);
  return state.pages.answer(request) ?? html(404, errorPage(google, `There is no page ${request.path}.`));
}

function answerOauth(state: GoogleState, request: WebRequest): WebResponse {
  if (`${request.method} ${request.path}` === 'POST /token') return token(state, request);
  if (request.path === '/tokeninfo') return tokenInfo(state, request);
  return missing(request);
}

/** The API of a person with a key: the same contents without the envelope of Code Assist. */
function answerPublicApi(state: GoogleState, request: WebRequest): WebResponse {
  const key = request.headers['x-goog-api-key'] ?? request.query.get('key');
  if (typeof key !== 'string' || !state.apiKeys.has(key)) {
    state.counts.unauthenticated += 1;
    const message = 'API key not valid. Please pass a valid API key.';
    return json(400, { error: { code: 400, message, status: 'INVALID_ARGUMENT' } });
  }
  if (request.path === '/v1beta/models') return json(200, { models: [] });
  const action = /:(\w+)$/.exec(request.path)?.[1];
  if (action === 'countTokens') return json(200, { totalTokens: 7 });
  if (action !== 'generateContent' && action !== 'streamGenerateContent') return missing(request);
  state.counts.prompts += 1;
  const reply = replyTo(bodyOf(request));
  return action === 'generateContent' ? json(200, reply) : eventStream([reply]);
}

/** Where a person without a callback finds the code to paste. */
function showCode({ path, query }: WebRequest): WebResponse {
  if (path !== '/authcode') return html(404, errorPage(google, `There is no page ${path}.`));
  const code = query.get('code');
  if (code === null) return html(200, errorPage(google, `Sign-in failed: ${query.get('error') ?? 'no code'}.`));
  return html(200, messagePage(google, 'Enter this code in Gemini CLI', code));
}

/** Where the CLI's callback sends the browser at the end. */
function showEnd({ path }: WebRequest): WebResponse {
  if (path === '/gemini-code-assist/auth_success_gemini')
    return html(200, messagePage(google, 'Authentication successful', 'You may close this page.'));
  return html(200, messagePage(google, 'Authentication failed', 'Return to Gemini CLI and try again.'));
}

const missing = ({ path }: WebRequest): WebResponse =>
  json(404, { error: { code: 404, message: `${path} is not simulated.`, status: 'NOT_FOUND' } });
