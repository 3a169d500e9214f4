import { describe, expect, it } from 'vitest';
import { characterKeysym, isTypable, namedKeysym, plainPunctuation, strokesBetween, usCharacter } from './keys.js';

const backspace = { keysym: 0xff08 };
const key = (character: string) => ({ keysym: character.charCodeAt(0) });

describe('characterKeysym', () => {
  it.each([
    ['a', 0x61],
    ['@', 0x40],
    ['{', 0x7b],
    ['ß', 0xdf],
    ['±', 0xb1],
    ['è', null],
    ['€', 0x20ac],
    ['œ', 0x13bd],
    ['\n', 0xff0d],
    ['\t', 0xff09],
    ['я', null],
    ['日', null],
    ['😀', null],
    ['\u0007', null],
    ['º', null],
  ])('of %j', (character, keysym) => expect(characterKeysym(character)).toBe(keysym));

  it('types all of ASCII by keys', () => {
    const ascii = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index));
    expect(ascii.map(characterKeysym)).toEqual(ascii.map((character) => character.charCodeAt(0)));
    expect([isTypable(ascii.join('')), isTypable('Passwört'), isTypable('пароль'), isTypable('p😀')]).toEqual([
      ...[true, true, false, false],
    ]);
  });
});

describe('strokesBetween', () => {
  it.each([
    ['__', '__', []],
    ['__', '__p@', [key('p'), key('@')]],
    ['__', '_', [backspace]],
    ['__teh', '__the', [backspace, backspace, key('h'), key('e')]],
    ['__😀', '__', [backspace]],
    ['__', '__aя', [key('a'), { text: 'я' }]],
  ])('%j to %j', (before, after, strokes) => expect(strokesBetween(before, after)).toEqual(strokes));
});

describe('smart punctuation of a phone', () => {
  /** What is typed by the values that the field has one after the other. */
  function typed(values: string[]): string {
    let text = '';
    for (const [index, value] of values.entries()) {
      for (const stroke of strokesBetween(values[index - 1] ?? '', value)) {
        if ('text' in stroke) text += stroke.text;
        else text = stroke.keysym === backspace.keysym ? text.slice(0, -1) : text + String.fromCharCode(stroke.keysym);
      }
    }
    return text;
  }

  it('does not change a"b\'c--d...', () => {
    const values = [
      'a',
      'a“',
      'a“b',
      'a“b’',
      'a“b’c',
      'a“b’c-',
      'a“b’c—',
      'a“b’c—d',
      'a“b’c—d.',
      'a“b’c—d..',
      'a“b’c—d…',
    ];
    expect(typed(values)).toBe('a"b\'c--d...');
  });

  it('is plain again', () => expect(plainPunctuation('“a” ‘b’ „c‚ — …')).toBe('"a" \'b\' "c\' -- ...'));
});

describe('usCharacter', () => {
  it.each([
    ['KeyA', false, false, 'a'],
    ['KeyA', true, false, 'A'],
    ['KeyA', false, true, 'A'],
    ['KeyA', true, true, 'a'],
    ['Digit2', false, false, '2'],
    ['Digit2', true, false, '@'],
    ['Digit2', false, true, '2'],
    ['Numpad2', true, false, '2'],
    ['Quote', true, false, '"'],
    ['Space', true, false, ' '],
    ['Enter', false, false, null],
  ])('of %s, shift %s, caps lock %s', (code, shift, capsLock, character) =>
    expect(usCharacter(code, { shift, capsLock })).toBe(character),
  );
});

describe('namedKeysym', () => {
  it('knows keys that type nothing, and only those', () => {
    expect([namedKeysym('Enter'), namedKeysym('a'), namedKeysym('Unidentified')]).toEqual([0xff0d, null, null]);
  });
});
