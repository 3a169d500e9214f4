import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { loginOf } from '../provider-login.js';
import { createScreen } from './screen.js';

const fixture = new URL('../../../contract/src/provider/fixtures/gemini_cli/0.61-sign-in.txt', import.meta.url);
const recorded = readFileSync(fixture, 'utf8');
const question = recorded.split('[Y/n]: ')[0] ?? '';

/** What is typed when the output comes in these pieces, and the page that is open then. */
function read(...pieces: string[]): { keys: string; pageHost: string | null } {
  const screen = createScreen(loginOf('gemini_cli'), 'browser');
  const keys = pieces.map((piece) => screen.feed(piece)).join('');
  return { keys, pageHost: screen.read(false).pageHost };
}

it('answers a question once, and counts a page without an address as open once the answer was taken', () => {
  expect(read(question.slice(0, -2))).toEqual({ keys: '', pageHost: null });
  expect(read(question)).toEqual({ keys: '\r', pageHost: null });
  expect(read(question, '[Y/n]: ')).toEqual({ keys: '\r', pageHost: null });
  expect(read(recorded)).toEqual({ keys: '\r', pageHost: 'accounts.google.com' });
  for (let cut = 0; cut <= recorded.length; cut += 1)
    expect(read(recorded.slice(0, cut), recorded.slice(cut))).toEqual({ keys: '\r', pageHost: 'accounts.google.com' });
});
