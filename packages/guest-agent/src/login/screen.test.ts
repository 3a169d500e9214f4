/** What real CLIs showed on their terminals, in any pieces and with anything invisible between, is understood alike. */
import * as fc from 'fast-check';
import { LoginTerminal } from '@airlock/contract/desktop';
import { providerIds } from '@airlock/contract/provider/provider';
import { readCases, readRecording } from '@airlock/contract/provider/testing';
import { describe, expect, it } from 'vitest';
import { loginOf } from '../provider-login.js';
import { createScreen, type ScreenStatus } from './screen.js';

const none = { pageHost: null, deviceCode: null, takesCode: false };

const recordings = (
  await Promise.all(
    providerIds.map(async (provider) => {
      const cases = await readCases(provider);
      return cases.recordings.map(async (one) => ({ provider, ...one, text: await readRecording(provider, one.file) }));
    }),
  )
).flat();
const recorded = await Promise.all(recordings);
type Recording = (typeof recorded)[number];

/** What the screen must show in the end. */
const shownBy = ({ pageHost, takesCode, deviceCode }: Recording): Partial<ScreenStatus> => ({
  pageHost,
  takesCode,
  deviceCode: deviceCode && { ...deviceCode, url: expect.stringMatching(deviceCode.url) as string },
});

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
const unit = new RegExp(String.raw`\u001b\[[0-9;?<>=]*[@-~]|\u001b\][^\u0007\u001b]*\u0007|[^]`, 'gu');
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

describe.each(recorded)('$provider $file, by $method', (recording) => {
  const { text, deviceCode } = recording;

  it('is understood', () => {
    const shown = shownAfter(recording, [text]);
    expect(shown).toMatchObject(shownBy(recording));
    expect(shown.lastOutput).toContain(recording.says);
    expect(shown.lastOutput).not.toMatch(/xxxxx|code_challenge/);
    if (deviceCode?.code) expect(shown.lastOutput).not.toContain(deviceCode.code.split('-')[0]);
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

describe('the terminal of a login that is looked at', () => {
  const screen = createScreen(loginOf('codex'), 'browser');
  it('is shown as it stands, without secrets, in lines no wider than it is', () => {
    screen.hide('TYPED-BY-THE-PERSON-1');
    screen.feed('Starting\r\n\x1b[1mOpen https://auth.openai.com/oauth/authorize?state=verysecretstate\x1b[0m\r\n');
    screen.feed(`Bearer abcdefgh12345678\r\nTYPED-BY-THE-PERSON-1\r\n${'word '.repeat(40)}end`);
    const { columns, lines } = screen.terminal();
    expect(columns).toBe(80);
    expect(lines[0]).toBe('Starting');
    expect(lines.join('\n')).not.toMatch(/verysecret|abcdefgh|TYPED/);
    expect(lines.join('')).toContain('auth.openai.com');
    expect(lines.at(-1)).toMatch(/end$/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(LoginTerminal.parse(screen.terminal())).toEqual({ columns, lines });
  });
  it('keeps the last two hundred lines', () => {
    screen.feed(Array.from({ length: 450 }, (_, line) => `\r\nline ${line}`).join(''));
    const { lines } = screen.terminal();
    expect([lines.length, lines.at(-1)]).toEqual([200, 'line 449']);
  });
});
