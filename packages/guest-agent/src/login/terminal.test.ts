import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTerminal } from './terminal.js';

const size = { columns: 40, rows: 6 };
const url = 'https://auth.openai.com/oauth/authorize?response_type=code&client_id=app_1&scope=openid%20profile';

/** All text and all answers after feeding the chunks. */
function feedAll(chunks: readonly string[]): { text: string; answers: string } {
  const terminal = createTerminal(size);
  const answers = chunks.map((chunk) => terminal.feed(chunk)).join('');
  return { text: terminal.text(), answers };
}

/** [what, output, text, answers] */
const table: readonly [string, string, string, string][] = [
  ['plain lines', 'one\r\ntwo\r\n', 'one\ntwo\n', ''],
  ['bare line feeds from a raw terminal', 'one\n\rtwo', 'one\ntwo', ''],
  ['colours', '\x1b[1;32mgreen\x1b[0m\x1b(B!', 'green!', ''],
  ['a spinner that overwrites itself', '| wait\r/ wait\r\x1b[Kdone\r\n', 'done\n', ''],
  ['a frame drawn again', 'a\r\nbb\r\n\x1b[2A\x1b[J\x1b[Gc\r\n', 'c\n', ''],
  ['erasing a line and writing elsewhere', 'hello\x1b[2K\x1b[3Gx', '  x', ''],
  ['a title and a link', '\x1b]0;secret title\x07a\x1b]8;;https://x.example/\x1b\\link\x1b]8;;\x1b\\', 'alink', ''],
  ['a device control string', 'a\x1bP+q544e\x1b\\b', 'ab', ''],
  ['a cancelled sequence', 'a\x1b[12\x18b', 'ab', ''],
  ['a string that another sequence ends', 'a\x1b]0;t\x1b[1mb', 'ab', ''],
  ['backspace and tab', 'ab\bc\td', 'ac      d', ''],
  ['an absolute position', 'x\x1b[2;3Hy', 'x\n  y', ''],
  ['a URL that the terminal wraps', `${url}\r\nnext`, `${url}\nnext`, ''],
  [
    'a URL that the program wraps',
    `${url.slice(0, 40)}\r\n${url.slice(40, 80)}\r\n${url.slice(80)}\r\n`,
    `${url}\n`,
    '',
  ],
  ['the question where the cursor is', 'ab\r\ncd\x1b[6n', 'ab\ncd', '\x1b[2;3R'],
  ['that question far down', `${'\r\n'.repeat(20)}x\x1b[6n`, `${'\n'.repeat(20)}x`, '\x1b[6;2R'],
  ['the question for its health', '\x1b[5n', '', '\x1b[0n'],
  ['the question what it is', '\x1b[c\x1b[0c\x1b[>c', '', '\x1b[?1;2c\x1b[?1;2c\x1b[>0;0;0c'],
  ['the question for its colours', '\x1b]11;?\x07', '', '\x1b]11;rgb:0000/0000/0000\x1b\\'],
  ['private modes', '\x1b[?25l\x1b[?2004hx\x1b[?25h', 'x', ''],
  ['emoji', '✔ 🔑 ok', '✔ 🔑 ok', ''],
];

describe('createTerminal', () => {
  it.each(table)('understands %s, wherever the output is cut', (_what, output, text, answers) => {
    expect(feedAll([output])).toEqual({ text, answers });
    const characters = Array.from(output);
    for (let cut = 1; cut < characters.length; cut += 1) {
      const chunks = [characters.slice(0, cut).join(''), characters.slice(cut).join('')];
      expect(feedAll(chunks), `cut at ${cut}`).toEqual({ text, answers });
    }
    expect(feedAll(characters)).toEqual({ text, answers });
  });

  it('gives the same result for any output in any pieces', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constantFrom(
        '\x1b',
        '\x1b[',
        '\x1b]',
        '\x1b\\',
        '\x07',
        '\r\n',
        '\x1b[2J',
        '\x1b[6n',
        '\x1b[99A',
        '\x1b[9;9H',
      ),
      fc.tuple(fc.nat(30), fc.constantFrom(...'ABCDEFGHJKdfmn')).map(([n, final]) => `\x1b[${n}${final}`),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const whole = pieces.join('');
        const reference = feedAll([whole]);
        expect(feedAll(pieces)).toEqual(reference);
        expect(feedAll(Array.from(whole))).toEqual(reference);
        expect(reference.text).not.toContain('\x1b');
      }),
      { numRuns: 150 },
    );
  });

  it('keeps a bounded amount of text', () => {
    const terminal = createTerminal(size);
    terminal.feed('0123456789\r\n'.repeat(5000));
    terminal.feed(`\x1b]${'x'.repeat(100_000)}`);
    terminal.feed('\x1b\\after');
    expect(terminal.text().length).toBeLessThan(100_000);
    expect(terminal.text()).toContain('after');
  });
});
