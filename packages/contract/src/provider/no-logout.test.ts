import { expect, test } from 'vitest';
import { providers } from './registry.js';

/** Every text and program argument in a provider's description, however deep. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value instanceof RegExp || typeof value === 'function') return [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsOf);
}

const commandsOf = (value: unknown): string[][] => {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) =>
    name === 'argv' && Array.isArray(inner) ? [textsOf(inner)] : commandsOf(inner),
  );
};

test.each(Object.values(providers).map((provider) => [provider.id, provider] as const))(
  '%s has commands, and none of them logs anybody out',
  (_id, provider) => {
    const commands = commandsOf(provider);
    if (provider.login !== null) expect(commands.length).toBeGreaterThan(1);
    expect(commands.flat().filter((word) => /log-?out|sign-?out|revoke/i.test(word))).toEqual([]);
    expect(textsOf(provider).filter((text) => /\blogout\b/i.test(text))).toEqual([]);
  },
);
