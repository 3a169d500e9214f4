/** What can be said about a part of a screen from its pixels. Pure. */
import type { Picture } from '@airlock/contract/rfb';

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The colours of an area as numbers, row by row. */
export function cut(screen: Picture, area: Area): Uint32Array {
  const colours = new Uint32Array(area.width * area.height);
  let at = 0;
  for (let y = area.y; y < area.y + area.height; y += 1) {
    for (let x = area.x; x < area.x + area.width; x += 1) {
      colours[at] = screen.data.readUInt32LE((y * screen.width + x) * 4) & 0xffffff;
      at += 1;
    }
  }
  return colours;
}

/** How many different colours there are: an empty desktop has one or two, a window with text has many. */
export const countColours = (colours: Uint32Array): number => new Set(colours).size;

/** How many pixels differ between two cuts of the same area. */
export function countChanges(before: Uint32Array, after: Uint32Array): number {
  return before.reduce((count, colour, index) => (colour === after[index] ? count : count + 1), 0);
}
