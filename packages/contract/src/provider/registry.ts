/** All providers, by id and by alias. */
import { claudeCode } from './claude-code.js';
import { codex } from './codex.js';
import { geminiCli } from './gemini-cli.js';
import type { Provider, ProviderId } from './provider.js';

export const providers: Readonly<Record<ProviderId, Provider>> = {
  codex,
  claude_code: claudeCode,
  gemini_cli: geminiCli,
};

/** The provider with this id or alias, or undefined. */
export function findProvider(name: string): Provider | undefined {
  return Object.values(providers).find((provider) => provider.id === name || provider.aliases.includes(name));
}
