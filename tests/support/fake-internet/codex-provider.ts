/**
 * OpenAI as far as `codex login` needs it: authorize, log in, consent, token endpoint. Codes are for one use, PKCE and
 * redirect URI are verified. Observed with @openai/codex 0.169; keeps its state in memory.
 */
import { createAuthorizationCodes } from './authorization-codes.js';
import { authorize, openAi } from './codex-authorize.js';
import type { CodexCounts, CodexProviderOptions, CodexState } from './codex-state.js';
import { enterDeviceCode, issueUserCode, pollDevice, showDeviceCode, startDevicePage } from './codex-device.js';
import { answerBackend, modelHandlers } from './codex-api.js';
import { issueTokens, token } from './codex-token.js';
import { errorPage } from './pages.js';
import { createSignInPages, noSignIns } from './sign-in-pages.js';
import {
  bearerOf,
  html,
  json,
  text,
  type HostHandler,
  type StreamHandler,
  type WebRequest,
  type WebResponse,
} from './web.js';

export interface CodexProvider {
  hosts: Record<string, HostHandler>;
  counts: CodexCounts;
  streams: Record<string, StreamHandler>;
  /** Texts that the model was asked. */
  prompts: readonly string[];
  /** While true, no login is taken but by the sign-in itself, as of an account that was closed. */
  refuseLogins(refuse: boolean): void;
  /** Tokens as the token endpoint gives them out, without anybody having signed in. */
  signIn(): Record<string, unknown>;
}

export function createCodexProvider(options: CodexProviderOptions): CodexProvider {
  if (!/^[A-Za-z0-9_-]+$/.test(options.canaryToken))
    throw new TypeError('canaryToken must be base64url characters only');
  const counts: CodexCounts = {
    ...noSignIns(),
    codesRedeemed: 0,
    codesRefused: 0,
    apiKeyExchanges: 0,
    deviceCodesIssued: 0,
    devicesApproved: 0,
  };
  const codes: CodexState['codes'] = createAuthorizationCodes('ac_');
  const pages: CodexState['pages'] = createSignInPages({
    brand: openAi,
    account: options.account,
    counts,
    issueCode: codes.issue,
  });
  const state: CodexState = {
    options,
    counts,
    pages,
    codes,
    devices: new Map(),
    idTokens: new Set(),
    accessTokens: new Set(),
    apiKeys: new Set(options.apiKey === undefined ? [] : [options.apiKey]),
    prompts: [],
    refusesLogins: false,
  };
  return {
    counts,
    hosts: {
      'auth.openai.com': (request) => answerAuthHost(state, request),
      'api.openai.com': (request) => answerApiHost(state, request),
      'chatgpt.com': (request) => answerChatGpt(state, request),
    },
    streams: modelHandlers(state),
    prompts: state.prompts,
    refuseLogins: (refuse) => (state.refusesLogins = refuse),
    signIn: () => issueTokens(state),
  };
}

function answerAuthHost(state: CodexState, request: WebRequest): WebResponse {
  switch (`${request.method} ${request.path}`) {
    case 'GET /oauth/authorize':
      return authorize(state, request);
    case 'POST /oauth/token':
      return token(state, request);
    case 'POST /api/accounts/deviceauth/usercode':
      return issueUserCode(state, request);
    case 'POST /api/accounts/deviceauth/token':
      return pollDevice(state, request);
    case 'GET /codex/device':
      return startDevicePage(state);
    case 'GET /codex/device/code':
      return showDeviceCode(state, request);
    case 'POST /codex/device/code':
      return enterDeviceCode(state, request);
    default:
      return state.pages.answer(request) ?? html(404, errorPage(openAi, `There is no page ${request.path}.`));
  }
}

function answerApiHost(state: CodexState, request: WebRequest): WebResponse {
  if (request.path === '/v1/models') {
    const key = bearerOf(request);
    if (state.apiKeys.has(key)) return json(200, { object: 'list', data: [] });
    const message = `Incorrect API key provided: ${key}. You can find your API key at https://platform.openai.com/account/api-keys.`;
    return json(401, { error: { message, type: 'invalid_request_error', param: null, code: 'invalid_api_key' } });
  }
  return json(404, { error: { message: `${request.path} is not simulated.`, type: 'invalid_request_error' } });
}

function answerChatGpt(state: CodexState, request: WebRequest): WebResponse {
  if (request.path === '/') return html(200, '<!doctype html><title>ChatGPT</title><h1>ChatGPT (simulated)</h1>');
  if (request.path.startsWith('/backend-api/')) return answerBackend(state, request);
  return text(404, `${request.path} is not simulated.`);
}
