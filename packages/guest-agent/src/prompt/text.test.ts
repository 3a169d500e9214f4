import { describe, expect, it } from 'vitest';
import { createLines, pieces, plainText } from './text.js';

describe('lines', () => {
  it('come out whole, however the stream is cut', () => {
    const text = '{"a":1}\r\n\n{"b":"ü"}\nrest';
    for (let size = 1; size <= text.length; size += 1) {
      const lines = createLines();
      const found: string[] = [];
      for (let start = 0; start < text.length; start += size) found.push(...lines(text.slice(start, start + size)));
      found.push(...lines(''));
      expect(found.filter((line) => line !== '')).toEqual(['{"a":1}', '{"b":"ü"}', 'rest']);
    }
  });

  it('that never end are dropped, and the next one is not', () => {
    const lines = createLines();
    const part = 'x'.repeat(1024 * 1024);
    for (let i = 0; i < 9; i += 1) expect(lines(part)).toEqual([]);
    expect(lines('tail\nnext\n')).toEqual(['next']);
  });
});

describe('plain text', () => {
  it.each([
    ['\u001B[1;31mred\u001B[0m', 'red'],
    ['\u001B]0;title\u0007text', 'text'],
    ['\u001B]8;;https://example.com\u0007link\u001B]8;;\u0007', 'link'],
    ['one\r\ntwo\rthree\tfour', 'one\ntwo\nthree\tfour'],
    ['bell\u0007 back\u0008 nul\u0000 c1\u009B', 'bell back nul c1'],
    ['ü 漢 🙂', 'ü 漢 🙂'],
  ])('of %j', (text, expected) => expect(plainText(text)).toBe(expected));
});

describe('pieces', () => {
  it('are short, whole and tear no character', () => {
    expect(pieces('', 4)).toEqual([]);
    expect(pieces('abcdefghi', 4)).toEqual(['abcd', 'efgh', 'i']);
    const smileys = '🙂'.repeat(5);
    expect(pieces(smileys, 3)).toEqual(['🙂', '🙂', '🙂', '🙂', '🙂']);
    expect(pieces(`a${smileys}`, 4).join('')).toBe(`a${smileys}`);
  });
});
