/**
 * Anthropic as far as Claude Code needs it: authorize, log in, consent, tokens, profile and prompts. Observed with
 * @anthropic-ai/claude-code 2.1.197 and 2.1.332; keeps its state in memory.
 */
import { createAuthorizationCodes } from './authorization-codes.js';
import { answerApi } from './claude-api.js';
import { anthropic, authorize, showCode } from './claude-authorize.js';
import type { ClaudeCounts, ClaudeProviderOptions, ClaudeState } from './claude-state.js';
import { token } from './claude-token.js';
import { errorPage, messagePage } from './pages.js';
import { createSignInPages, noSignIns } from './sign-in-pages.js';
import { html, type HostHandler, type WebRequest, type WebResponse } from './web.js';

export interface ClaudeProvider {
  hosts: Record<string, HostHandler>;
  counts: ClaudeCounts;
  /** From now on this API key is known. */
  addApiKey(key: string): void;
  /** While true, no login is taken but by the sign-in itself, as of an account that was closed. */
  refuseLogins(refuse: boolean): void;
  /** No access token issued so far works any longer; refresh tokens do. */
  expireAccessTokens(): void;
  /** No token issued so far works any longer, as after "log out of all devices". */
  revokeAll(): void;
  /** Whether this is a refresh token that would be accepted now. */
  isLive(refreshToken: string): boolean;
}

export function createClaudeProvider(options: ClaudeProviderOptions): ClaudeProvider {
  const state = createState(options);
  return {
    counts: state.counts,
    hosts: {
      'claude.com': (request) => answerClaude(state, request),
      'platform.claude.com': (request) => answerPlatform(state, request),
      'api.anthropic.com': (request) => answerApi(state, request),
    },
    addApiKey: (key) => void state.apiKeys.add(key),
    refuseLogins: (refuse) => (state.refusesLogins = refuse),
    expireAccessTokens: () => state.accessTokens.clear(),
    revokeAll: () => {
      state.accessTokens.clear();
      state.refreshTokens.clear();
    },
    isLive: (refreshToken) => state.refreshTokens.has(refreshToken),
  };
}

function createState(options: ClaudeProviderOptions): ClaudeState {
  const counts: ClaudeCounts = {
    ...noSignIns(),
    codesRedeemed: 0,
    codesRefused: 0,
    refreshes: 0,
    refreshesRefused: 0,
    messages: 0,
    unauthenticated: 0,
  };
  const codes: ClaudeState['codes'] = createAuthorizationCodes('');
  const pages: ClaudeState['pages'] = createSignInPages({
    brand: anthropic,
    account: options.account,
    counts,
    issueCode: codes.issue,
  });
  const tokens = { refreshTokens: new Map(), accessTokens: new Map(), apiKeys: new Set<string>() };
  return { options, counts, pages, codes, ...tokens, refusesLogins: false };
}

function answerClaude(state: ClaudeState, request: WebRequest): WebResponse {
  if (`${request.method} ${request.path}` === 'GET /cai/oauth/authorize') return authorize(state, request);
  return state.pages.answer(request) ?? missing(request);
}

function answerPlatform(state: ClaudeState, request: WebRequest): WebResponse {
  switch (`${request.method} ${request.path}`) {
    case 'POST /v1/oauth/token':
      return token(state, request);
    case 'GET /oauth/code/callback':
      return showCode(request);
    case 'GET /oauth/code/success':
      return html(200, messagePage(anthropic, 'Signed in to Claude Code', 'You may close this page.'));
    default:
      return missing(request);
  }
}

const missing = (request: WebRequest): WebResponse =>
  html(404, errorPage(anthropic, `There is no page ${request.path}.`));
