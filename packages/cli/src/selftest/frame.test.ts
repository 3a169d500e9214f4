import { expect, test } from 'vitest';
import { countChanges, countColours, cut } from './frame.js';

const screen = (width: number, colours: number[]) => {
  const pixels = Buffer.alloc(colours.length * 4);
  colours.forEach((colour, index) => pixels.writeUInt32LE(colour + 0x55_000000, index * 4));
  return { width, height: colours.length / width, data: pixels };
};

test('an area is cut out of the screen, without the unused byte', () => {
  const cutting = cut(screen(4, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), { x: 1, y: 1, width: 2, height: 2 });
  expect([...cutting]).toEqual([6, 7, 10, 11]);
  expect(countColours(cutting)).toBe(4);
});

test('changed pixels are counted', () => {
  expect(countChanges(Uint32Array.of(1, 2, 3), Uint32Array.of(1, 5, 4))).toBe(2);
});
