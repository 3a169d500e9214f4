/** The pages of the simulated Anthropic: what `claude auth login` asks for must be exactly right. */
import { claudeClientId, claudeCodePage, claudeLoopback, type ClaudeState } from './claude-state.js';
import { codePage, errorPage, type Brand } from './pages.js';
import { html, type WebRequest, type WebResponse } from './web.js';

export const anthropic: Brand = {
  vendor: 'Anthropic',
  product: 'Claude Code',
  account: 'Claude account',
  asks: ['See your name and email', 'Use your Claude plan in Claude Code', 'Keep sessions on this device'],
};

/** Without these the CLI could not answer a prompt or say who is signed in. */
const neededScopes = ['user:inference', 'user:profile'];

/** GET claude.com/cai/oauth/authorize */
export function authorize(provider: ClaudeState, { query }: WebRequest): WebResponse {
  provider.counts.authorizeRequests += 1;
  const field = (name: string): string => query.get(name) ?? '';
  const refuse = (problem: string): WebResponse => html(400, errorPage(anthropic, problem));
  const exact = { response_type: 'code', client_id: claudeClientId, code_challenge_method: 'S256' };
  for (const [name, expected] of Object.entries(exact)) {
    if (field(name) !== expected) return refuse(`${name} is ${field(name) || 'missing'}; expected ${expected}.`);
  }
  const redirectUri = field('redirect_uri');
  if (redirectUri !== claudeCodePage && !claudeLoopback.test(redirectUri))
    return refuse(`redirect_uri ${redirectUri} is not registered.`);
  const [state, codeChallenge, scope] = [field('state'), field('code_challenge'), field('scope')];
  if (state.length < 20) return refuse('state is missing or too short.');
  if (!/^[A-Za-z0-9_-]{43}$/.test(codeChallenge)) return refuse('code_challenge is not a SHA-256 in base64url.');
  if (!neededScopes.every((needed) => scope.split(' ').includes(needed)))
    return refuse(`scope is ${scope || 'missing'}; expected ${neededScopes.join(' and ')} in it.`);
  return provider.pages.begin({ redirectUri, state, codeChallenge, scope });
}

/** GET platform.claude.com/oauth/code/callback: the code and the state, to be copied into the CLI's terminal as one text. */
export function showCode({ query }: WebRequest): WebResponse {
  const code = query.get('code');
  const problem = query.get('error_description') ?? 'No code came.';
  return code === null
    ? html(400, errorPage(anthropic, problem))
    : html(200, codePage(anthropic, `${code}#${query.get('state') ?? ''}`));
}
