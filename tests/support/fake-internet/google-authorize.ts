/** accounts.google.com as far as `gemini` needs it: the authorize request must be exactly what an installed application may ask. */
import { geminiClient, geminiCodePage, geminiLoopback, geminiScopes, type GoogleState } from './google-state.js';
import { errorPage, type Brand } from './pages.js';
import { html, type WebRequest, type WebResponse } from './web.js';

export const google: Brand = {
  vendor: 'Google',
  product: 'Gemini CLI',
  account: 'Google account',
  asks: ['See your primary Google email address', 'See your personal info', 'Use Google Cloud on your behalf'],
};

/** What is wrong with the query, or null. */
function problemWith(query: URLSearchParams): string | null {
  const required: Record<string, string> = {
    response_type: 'code',
    client_id: geminiClient.id,
    access_type: 'offline',
  };
  for (const [name, expected] of Object.entries(required)) {
    const found = query.get(name);
    if (found !== expected) return `${name} is ${found ?? 'missing'}; expected ${expected}.`;
  }
  const scopes = (query.get('scope') ?? '').split(' ').toSorted();
  if (scopes.join(' ') !== geminiScopes.toSorted().join(' ')) return `scope is ${scopes.join(' ')}.`;
  if ((query.get('state') ?? '').length < 16) return 'state is missing or too short.';
  const redirectUri = query.get('redirect_uri') ?? '';
  const codeChallenge = query.get('code_challenge');
  if (redirectUri === geminiCodePage && codeChallenge === null) return 'code_challenge is missing.';
  if (redirectUri !== geminiCodePage && !geminiLoopback.test(redirectUri)) return `redirect_uri is ${redirectUri}.`;
  if (codeChallenge === null) return null;
  if (query.get('code_challenge_method') !== 'S256') return 'code_challenge_method is not S256.';
  return /^[A-Za-z0-9_-]{43}$/.test(codeChallenge) ? null : 'code_challenge is not a SHA-256 in base64url.';
}

/** GET /o/oauth2/v2/auth */
export function authorize(provider: GoogleState, { query }: WebRequest): WebResponse {
  provider.counts.authorizeRequests += 1;
  const problem = problemWith(query);
  if (problem !== null) return html(400, errorPage(google, `Error 400: invalid_request. ${problem}`));
  return provider.pages.begin({
    redirectUri: query.get('redirect_uri') ?? '',
    state: query.get('state') ?? '',
    codeChallenge: query.get('code_challenge'),
  });
}
