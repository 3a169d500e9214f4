import { desktopSizes } from '@airlock/contract/desktop';
import { describe, expect, it } from 'vitest';
import { sizeFor } from './size.js';

describe('sizeFor', () => {
  it.each([
    ['fit', [1278, 697], [1278, 696]],
    ['small', [1280, 800], [1024, 640]],
    ['large', [1280, 800], [1920, 1200]],
    ['fit', [390, 600], [540, 830]],
    ['small', [390, 600], [664, 1024]],
    ['large', [390, 600], [1040, 1600]],
    ['fit', [5000, 2000], [2560, 1024]],
    ['fit', [640, 270], [1280, 540]],
  ] as const)('%s in %j', (choice, [width, height], [wide, high]) =>
    expect(sizeFor(choice, { width, height })).toEqual({ width: wide, height: high }),
  );

  it('is within what a desktop takes, whatever the place', () => {
    const { smallest, largest } = desktopSizes;
    for (const width of [1, 50, 320, 1000, 9000]) {
      for (const height of [1, 50, 320, 1000, 9000]) {
        for (const choice of ['fit', 'small', 'large'] as const) {
          const size = sizeFor(choice, { width, height });
          expect(size.width >= smallest.width && size.width <= largest.width).toBe(true);
          expect(size.height >= smallest.height && size.height <= largest.height).toBe(true);
        }
      }
    }
  });
});
