import { expect, it } from 'vitest';
import { providerIds } from './provider.js';
import { findProvider, providers } from './registry.js';

it.each([
  ['codex', 'codex'],
  ['codex_cli', 'codex'],
  ['openai', 'codex'],
  ['claude_code', 'claude_code'],
  ['claude', 'claude_code'],
  ['claude_code_pro', 'claude_code'],
  ['claude_code_max', 'claude_code'],
  ['anthropic', 'claude_code'],
  ['gemini_cli', 'gemini_cli'],
  ['gemini', 'gemini_cli'],
  ['google', 'gemini_cli'],
])('%s is %s', (name, id) => {
  expect(findProvider(name)?.id).toBe(id);
});

it('has each name once, each id under itself, and nothing for another name', () => {
  const names = Object.values(providers).flatMap(({ id, aliases }) => [id, ...aliases]);
  expect(new Set(names).size).toBe(names.length);
  expect(Object.entries(providers).map(([key, { id }]) => [key, id])).toEqual(providerIds.map((id) => [id, id]));
  for (const name of ['', 'toString', 'Codex']) expect(findProvider(name)).toBeUndefined();
});
