/** Google Gemini CLI. */
import type { Provider } from './provider.js';

export const geminiCli: Provider = {
  id: 'gemini_cli',
  aliases: ['gemini', 'google'],
  name: 'Gemini CLI',
  vendor: 'Google',
  description: 'Google’s coding agent. Sign in with a Google account.',
  program: 'gemini',
  login: null,
  prompt: null,
};
