import { describe, expect, it } from 'vitest';
import { characterKeysym, keysBetween, namedKeysym } from './typing.js';

const backspace = 0xff08;

describe('characterKeysym', () => {
  it.each([
    ['a', 0x61],
    ['@', 0x40],
    ['{', 0x7b],
    ['ß', 0xdf],
    ['€', 0x010020ac],
    ['😀', 0x0101f600],
    ['\n', 0xff0d],
  ])('of %j', (character, keysym) => expect(characterKeysym(character)).toBe(keysym));
});

describe('keysBetween', () => {
  it.each([
    ['__', '__', []],
    ['__', '__p@', [0x70, 0x40]],
    ['__', '_', [backspace]],
    ['__teh', '__the', [backspace, backspace, 0x68, 0x65]],
    ['__😀', '__', [backspace]],
  ])('%j to %j', (before, after, keys) => expect(keysBetween(before, after)).toEqual(keys));
});

describe('namedKeysym', () => {
  it('knows keys that type nothing, and only those', () => {
    expect([namedKeysym('Enter'), namedKeysym('a'), namedKeysym('Unidentified')]).toEqual([0xff0d, null, null]);
  });
});
