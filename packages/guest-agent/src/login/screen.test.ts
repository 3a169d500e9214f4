/** What real CLIs showed on their terminals, in any pieces and with anything invisible between, is understood alike. */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import type { LoginMethod } from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { describe, expect, it } from 'vitest';
import { loginOf } from '../provider-login.js';
import { createScreen, type ScreenStatus } from './screen.js';

interface Recording {
  /** In the contract's fixtures: program, version, what was done; secrets replaced. */
  name: string;
  provider: ProviderId;
  method: LoginMethod;
  shows: Partial<ScreenStatus>;
  /** Text that must stand in the last output. */
  says: string;
}

const none = { pageHost: null, deviceCode: null, takesCode: false };
const codexPage = { ...none, pageHost: 'auth.openai.com' };
const claudePage = { ...none, pageHost: 'claude.com', takesCode: true };
/** Where the page that is shown on the terminal ends: with a code, and nothing calls back. */
const claudeCodePage = encodeURIComponent('https://platform.claude.com/oauth/code/callback');
const googlePage = { ...none, pageHost: 'accounts.google.com' };
const deviceCode = { url: 'https://auth.openai.com/codex/device', code: 'G6C3-T6CV2' };

const recordings: readonly Recording[] = [
  { name: 'codex-0.169-login', provider: 'codex', method: 'browser', shows: codexPage, says: 'Successfully logged in' },
  {
    name: 'codex-0.169-login-denied',
    provider: 'codex',
    method: 'browser',
    shows: codexPage,
    says: 'refused to sign in',
  },
  {
    name: 'codex-0.169-device-auth',
    provider: 'codex',
    method: 'device_code',
    shows: { ...none, deviceCode },
    says: 'Successfully logged in',
  },
  {
    name: 'claude-2.1.197-login',
    provider: 'claude_code',
    method: 'browser',
    shows: claudePage,
    says: 'Login successful.',
  },
  {
    name: 'claude-2.1.197-login',
    provider: 'claude_code',
    method: 'device_code',
    shows: { ...claudePage, deviceCode: { url: expect.stringContaining(claudeCodePage) as string, code: null } },
    says: 'Login successful.',
  },
  {
    name: 'claude-2.1.197-login-denied',
    provider: 'claude_code',
    method: 'browser',
    shows: claudePage,
    says: 'Login failed: No authorization code received',
  },
  {
    name: 'claude-2.1.197-login-pasted',
    provider: 'claude_code',
    method: 'browser',
    shows: claudePage,
    says: 'Invalid code.',
  },
  {
    name: 'gemini-0.61-sign-in',
    provider: 'gemini_cli',
    method: 'browser',
    shows: googlePage,
    says: 'Do you want to continue? [Y/n]:',
  },
  {
    name: 'gemini-0.61-denied',
    provider: 'gemini_cli',
    method: 'browser',
    shows: googlePage,
    says: 'Google OAuth error: access_denied. The user refused to sign in.',
  },
  {
    name: 'gemini-0.61-paste-code',
    provider: 'gemini_cli',
    method: 'device_code',
    shows: {
      ...googlePage,
      takesCode: true,
      deviceCode: { url: expect.stringMatching(/^https:\/\/accounts\.google\.com\/\S+$/) as string, code: null },
    },
    says: 'Enter the authorization code:',
  },
];

const fixtures = new URL('../../../contract/src/provider/fixtures/', import.meta.url);
const recorded = (name: string): string => readFileSync(new URL(`${name}.txt`, fixtures), 'utf8');

/** What the screen says after these pieces of output, more of which may come. */
function shownAfter({ provider, method }: Recording, pieces: readonly string[]): ScreenStatus {
  const screen = createScreen(loginOf(provider), method);
  for (const piece of pieces) {
    screen.feed(piece);
    screen.read(false);
  }
  return screen.read(false);
}

/** Escape sequences as they are, everything else character by character. */
const unit = new RegExp(String.raw`\u001b\[[0-9;?<>=]*[@-~]|[^]`, 'gu');
const units = (text: string): string[] => text.match(unit) ?? [];

/** Changes nothing on a screen. */
const invisible = fc.oneof(
  fc.constantFrom(
    '\x1b[0m',
    '\x1b[1;38;5;208m',
    '\x1b[?25l',
    '\x1b[?25h',
    '\x1b[?2004h',
    '\x1b(B',
    '\x1b7',
    '\x1b=',
    '\x00',
  ),
  fc.stringMatching(/^[a-z0-9 :/?=&]{0,30}$/).map((title) => `\x1b]0;${title}\x07`),
  fc.stringMatching(/^[a-z0-9/.]{0,30}$/).map((link) => `\x1b]8;;https://evil.example/${link}\x1b\\`),
  fc.stringMatching(/^[a-f0-9]{0,10}$/).map((text) => `\x1bP+q${text}\x1b\\`),
);

/** The text with invisible things at some places, cut at others. */
function disturbed(text: string): fc.Arbitrary<string[]> {
  const whole = units(text);
  const additions = fc.array(fc.tuple(fc.nat(whole.length), invisible), { maxLength: 25 });
  const cuts = fc.array(fc.nat(text.length + 500), { maxLength: 40 });
  return fc.tuple(additions, cuts).map(([added, cutAt]) => {
    const parts = [...whole, ''];
    for (const [index, sequence] of added) parts[index] = `${sequence}${parts[index] ?? ''}`;
    const all = parts.join('');
    const places = [0, ...cutAt.filter((place) => place < all.length).toSorted((a, b) => a - b), all.length];
    return places.slice(1).map((place, index) => all.slice(places[index], place));
  });
}

describe.each(recordings)('$name', (recording) => {
  const text = recorded(recording.name);

  it('is understood', () => {
    const shown = shownAfter(recording, [text]);
    expect(shown).toMatchObject(recording.shows);
    expect(shown.lastOutput).toContain(recording.says);
    expect(shown.lastOutput).not.toMatch(/xxxxx|code_challenge|G6C3/);
  });

  it('is understood alike in any pieces, with anything invisible between', () => {
    const reference = shownAfter(recording, [text]);
    fc.assert(
      fc.property(disturbed(text), (pieces) => {
        expect(shownAfter(recording, pieces)).toEqual(reference);
      }),
      { numRuns: 60 },
    );
  });

  it('names no other page, whatever else a terminal shows', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 30 }), (pieces) => {
        expect(shownAfter(recording, pieces)).toMatchObject(none);
      }),
      { numRuns: 60 },
    );
  });
});
