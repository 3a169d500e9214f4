/** The authorize endpoint of the simulated OpenAI: what `codex login` asks for must be exactly right. */
import { codexClientId, codexRedirectUri, type CodexState } from './codex-state.js';
import { errorPage, type Brand } from './pages.js';
import { html, type WebRequest, type WebResponse } from './web.js';

export const openAi: Brand = {
  vendor: 'OpenAI',
  product: 'Codex',
  account: 'ChatGPT account',
  asks: ['See your name, email and profile', 'Use your ChatGPT plan in Codex', 'Stay signed in on this device'],
};

export function authorize(provider: CodexState, { query }: WebRequest): WebResponse {
  provider.counts.authorizeRequests += 1;
  const required: Record<string, string> = {
    response_type: 'code',
    client_id: codexClientId,
    code_challenge_method: 'S256',
  };
  for (const [name, expected] of Object.entries(required)) {
    const found = query.get(name);
    if (found !== expected)
      return html(400, errorPage(openAi, `${name} is ${found ?? 'missing'}; expected ${expected}.`));
  }
  const redirectUri = query.get('redirect_uri') ?? '';
  if (!codexRedirectUri.test(redirectUri))
    return html(400, errorPage(openAi, `redirect_uri ${redirectUri} is not registered.`));
  const state = query.get('state') ?? '';
  const codeChallenge = query.get('code_challenge') ?? '';
  if (state.length < 8) return html(400, errorPage(openAi, 'state is missing or too short.'));
  if (!/^[A-Za-z0-9_-]{43}$/.test(codeChallenge))
    return html(400, errorPage(openAi, 'code_challenge is not a SHA-256 in base64url.'));
  return provider.pages.begin({ redirectUri, state, codeChallenge });
}
