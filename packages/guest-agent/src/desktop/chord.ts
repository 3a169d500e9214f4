/** Presses Shift+Insert, as if by a hand that holds nothing else: what the person holds is released before, and not pressed again. */
import type { XDisplay } from '../x11/x11.js';
import { fakeKey, getInputFocus, getModifierMapping, queryKeymap } from '../x11/requests.js';

/** Keycodes of the image's keyboard, `evdev`. */
export const keys = { shift: 50, altGr: 108, insert: 118 } as const;

/** What Chromium's fields and xterm alike take for "paste". Resolves once the server has passed it on. */
export async function pressPaste(display: XDisplay): Promise<void> {
  const { opcode } = await display.extension('XTEST');
  for (const keycode of await heldModifiers(display)) display.send(fakeKey(opcode, keycode, false));
  for (const [keycode, isDown] of [
    [keys.shift, true],
    [keys.insert, true],
    [keys.insert, false],
    [keys.shift, false],
  ] as const)
    display.send(fakeKey(opcode, keycode, isDown));
  await display.ask(getInputFocus());
}

/** Keycodes. */
export async function heldModifiers(display: XDisplay): Promise<number[]> {
  const [keymap, mapping] = await Promise.all([display.ask(queryKeymap()), display.ask(getModifierMapping())]);
  const isHeld = (keycode: number): boolean =>
    ((keymap?.readUInt8(8 + (keycode >> 3)) ?? 0) & (1 << (keycode & 7))) !== 0;
  return [...(mapping?.subarray(32) ?? [])].filter((keycode) => keycode !== 0 && isHeld(keycode));
}
