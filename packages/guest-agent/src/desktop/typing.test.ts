import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { temporaryFolder } from '../fixtures/config.js';
import { startFakeServer, type FakeServer } from '../fixtures/x-server.js';
import { openDisplay } from '../x11/x11.js';
import { createTyping, type Typing } from './typing.js';

const [shift, altGr] = [50, 108];
/** Keycodes of a keyboard of a few keys, of which `spare` mean nothing. */
const keyboard = { 38: [0x61, 0x41], 30: [0x75, 0x55, 0x75, 0x55, 0xfa, 0xda], 36: [0xff0d], 23: [0xff09] };
const spare = [93, 97, 103];

interface Desk {
  server: FakeServer;
  typing: Typing;
  /** What the keys type, as a program reads it that comes to them at once. */
  typed(): string;
}

async function desk(keptMs?: number): Promise<Desk> {
  const path = join(await temporaryFolder(), 'X0');
  const server = await startFakeServer(path, new Map());
  for (let code = 8; code < 256; code += 1) server.keymap.set(code, spare.includes(code) ? [0, 0] : [0xfe00, 0xfe00]);
  for (const [code, keysyms] of Object.entries(keyboard)) server.keymap.set(Number(code), keysyms);
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  let [text, known] = ['', 0];
  const held = new Set<number>();
  server.onRequest = () => {
    for (; known < server.keys.length; known += 1) {
      const key = server.keys[known] ?? 0;
      if ([shift, altGr].includes(Math.abs(key))) held[key > 0 ? 'add' : 'delete'](Math.abs(key));
      else if (key > 0)
        text += nameOf(server.keymap.get(key)?.[(held.has(altGr) ? 4 : 0) + (held.has(shift) ? 1 : 0)] ?? 0);
    }
  };
  return { server, typing: createTyping(display, keptMs), typed: () => text };
}
const nameOf = (keysym: number): string =>
  keysym === 0xff0d ? '\n' : keysym === 0xff09 ? '\t' : String.fromCodePoint(keysym & 0xff_ffff);
const spares = ({ server }: Desk): (readonly number[] | undefined)[] => spare.map((code) => server.keymap.get(code));

it.each(['aAa\t\n', 'пароль', '日本€😀a', 'ПяП ü', 'uUúÚ'])('types %j, and offers it on no clipboard', async (text) => {
  const it = await desk();
  await it.typing.type(text);
  expect(it.typed()).toBe(text);
  expect([it.server.owners.size, it.server.properties.size]).toEqual([0, 0]);
});

it('makes no key for what is on one with AltGr', async () => {
  const it = await desk();
  await it.typing.type('úÚ');
  expect(spares(it)).toEqual(spare.map(() => [0, 0]));
});

it('releases what the person holds before', async () => {
  const it = await desk();
  it.server.heldKeys = new Set([37]);
  await it.typing.type('aя');
  expect(it.server.keys.slice(0, 2)).toEqual([-37, 38]);
  expect(it.typed()).toBe('aя');
});

it('keeps the keys as they are for those who come to them late, and gives them back', async () => {
  const keptMs = 600;
  const it = await desk(keptMs);
  await it.typing.type('абв');
  const since = performance.now();
  await it.typing.type('ба');
  const given = [
    [0x1000430, 0x1000431],
    [0x1000432, 0x1000432],
    [0, 0],
  ];
  expect(spares(it)).toEqual(given);
  // Four are lacking, and there is room for two: it waits for the others.
  await it.typing.type('где€');
  expect(performance.now() - since).toBeGreaterThan(keptMs - 50);
  expect(it.typed()).toBe('абвбагде€');
  await vi.waitFor(() => expect(spares(it)).toEqual(spare.map(() => [0, 0])), { timeout: 5000 });
});

it.each([
  ['more characters than there are keys for', 'абвгдеж', 'payload_too_large'],
  ['a control character', 'a\u0007', 'invalid_request'],
  ['half of a character', '\ud83d', 'invalid_request'],
])('refuses %s, and types nothing of it', async (_what, text, code) => {
  const it = await desk();
  await expect(it.typing.type(text)).rejects.toMatchObject({
    code,
    message: expect.not.stringContaining(text) as string,
  });
  expect(it.server.keys).toEqual([]);
});
