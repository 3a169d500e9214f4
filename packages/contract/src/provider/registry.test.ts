import { expect, it } from 'vitest';
import { providerIds } from './provider.js';
import { findProvider, providers, requireProvider, trialHosts } from './registry.js';

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

it('has each name and each program once, each id under itself, and nothing for another name', () => {
  const all = Object.values(providers);
  const names = all.flatMap(({ id, aliases }) => [id, ...aliases]);
  const programs = all.map(({ program }) => program);
  for (const words of [names, programs]) expect(new Set(words).size).toBe(words.length);
  expect(Object.entries(providers).map(([key, { id }]) => [key, id])).toEqual(providerIds.map((id) => [id, id]));
  for (const name of ['', 'toString', 'Codex']) expect(findProvider(name)).toBeUndefined();
});

it('refuses an unknown name, and tells the known ones', () => {
  expect(requireProvider('openai').id).toBe('codex');
  expect(() => requireProvider('sh')).toThrowError(
    expect.objectContaining({
      code: 'provider_unknown',
      message: 'No provider is called "sh".',
      hint: `Known are ${providerIds.join(', ')}.`,
    }),
  );
});

it('names one host of each provider to try, and each is one that the sign-in needs', () => {
  const hosts = trialHosts();
  expect(hosts.length).toBe(Object.values(providers).filter(({ login }) => login !== null).length);
  const needed = Object.values(providers).flatMap(({ login }) => login?.hosts ?? []);
  expect(needed).toEqual(expect.arrayContaining(hosts));
});
