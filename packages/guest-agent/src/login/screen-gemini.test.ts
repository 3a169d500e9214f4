/** The recorded screens of Gemini CLI, cut anywhere. */
import { readFileSync } from 'node:fs';
import { providers } from '@airlock/contract/provider/registry';
import type { ProviderLogin } from '@airlock/contract/provider/provider';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createScreen } from './screen.js';

const login = providers.gemini_cli.login as ProviderLogin;
const recorded = (name: string): string =>
  readFileSync(new URL(`../../../contract/src/provider/fixtures/gemini-0.61-${name}.txt`, import.meta.url), 'utf8');

/** What a login makes of the output when it comes in these pieces. */
function read(pieces: readonly string[]): { keys: string; pageHost: string | null; lastOutput: string } {
  const screen = createScreen(login, 'browser');
  const keys = pieces.map((piece) => screen.feed(piece)).join('');
  const { pageHost, lastOutput } = screen.read(false);
  return { keys, pageHost, lastOutput };
}

const question = recorded('sign-in').split('[Y/n]: ')[0] ?? '';

it('answers the one question, and counts the page as open once the answer was taken', () => {
  expect(read([question])).toMatchObject({ keys: '\r', pageHost: null });
  expect(read([`${question}[Y/n]: `])).toMatchObject({ keys: '\r', pageHost: null });
  expect(read([recorded('sign-in')])).toMatchObject({ keys: '\r', pageHost: 'accounts.google.com' });
});

it('tells why a refused login ended', () => {
  expect(read([recorded('denied')]).lastOutput).toContain(
    'Google OAuth error: access_denied. The user refused to sign in.',
  );
});

it('finds the page of a CLI that has no browser, and shows nothing of its address', () => {
  const { pageHost, lastOutput } = read([recorded('paste-code')]);
  expect(pageHost).toBe('accounts.google.com');
  expect(lastOutput).toContain('Enter the authorization code:');
  expect(lastOutput).not.toContain('code_challenge=A');
});

it('reads the same however the output is cut, and whatever harmless sequences come between', () => {
  const noise = fc.constantFrom('', '\x1b[0m', '\x1b[?25l', '\x1b]0;Ready\x07', '\x1b[1m\x1b[22m', '\x1b[38;5;229m');
  for (const name of ['sign-in', 'denied', 'paste-code']) {
    const output = recorded(name);
    const { keys, pageHost } = read([output]);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(output.length), noise), { maxLength: 12 }), (cuts) => {
        const sorted = cuts.toSorted(([first], [second]) => first - second);
        const pieces: string[] = [];
        let from = 0;
        for (const [at, sequence] of sorted) {
          pieces.push(output.slice(from, at));
          // A sequence within another one would end it.
          if (!output.slice(Math.max(0, at - 8), at).includes('\x1b')) pieces.push(sequence);
          from = at;
        }
        expect(read([...pieces, output.slice(from)])).toMatchObject({ keys, pageHost });
      }),
      { numRuns: 300 },
    );
  }
});
