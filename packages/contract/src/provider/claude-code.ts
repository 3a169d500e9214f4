/** Anthropic Claude Code. */
import type { Provider } from './provider.js';

export const claudeCode: Provider = {
  id: 'claude_code',
  aliases: ['claude', 'claude_code_pro', 'claude_code_max', 'anthropic'],
  name: 'Claude Code',
  vendor: 'Anthropic',
  description: 'Anthropic’s coding agent. Sign in with a Claude account.',
  program: 'claude',
  login: null,
  prompt: null,
};
