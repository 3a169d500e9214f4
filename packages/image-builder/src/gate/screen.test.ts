import { duplexPair } from 'node:stream';
import { expect, it } from 'vitest';
import { openScreen } from './screen.js';

const head = (x: number, y: number, width: number, height: number, encoding = 0): Buffer => {
  const bytes = Buffer.alloc(12);
  [x, y, width, height].forEach((value, index) => bytes.writeUInt16BE(value, 2 * index));
  bytes.writeInt32BE(encoding, 8);
  return bytes;
};
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const u32 = (value: number): Buffer => Buffer.concat([u16(value >> 16), u16(value & 0xffff)]);
/** A server of a screen of 4x2 named "x": banner, one security type, fine, size, 16 bytes of format, name. */
const opening = (security: number[]): Buffer =>
  Buffer.concat([
    Buffer.from('RFB 003.008\n'),
    Buffer.from([security.length, ...security]),
    ...[u32(0), u16(4), u16(2), Buffer.alloc(16), u32(1), Buffer.from('x')],
  ]);

it('sees a screen that comes in pieces, with a bell and a clipboard in between', async () => {
  const [client, server] = duplexPair();
  server.write(opening([1]));
  const screen = await openScreen(client);
  const looked = screen.look({ x: 0, y: 0, width: 4, height: 2 });
  const left = Buffer.alloc(2 * 2 * 4, 0x11);
  const right = Buffer.alloc(2 * 2 * 4, 0x22);
  const update = (box: Buffer, pixels: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0]), u16(1), box, pixels]);
  const clipboard = Buffer.concat([Buffer.from([3, 0, 0, 0]), u32(2), Buffer.from('hi')]);
  server.write(update(head(2, 0, 2, 2), right));
  server.write(Buffer.concat([Buffer.from([2]), clipboard, update(head(0, 0, 2, 2), left)]));
  const { width, height, data } = await looked;
  expect({ width, height }).toEqual({ width: 4, height: 2 });
  expect([...data.subarray(0, 16)].map((byte) => byte.toString(16))).toEqual([
    ...Array<string>(8).fill('11'),
    ...Array<string>(8).fill('22'),
  ]);
  screen.close();
});

it.each([
  ['a server that wants a password', opening([2])],
  ['a server of another kind', Buffer.from('SSH-2.0-dropbear')],
])('refuses %s', async (_what, bytes) => {
  const [client, server] = duplexPair();
  server.end(bytes);
  await expect(openScreen(client)).rejects.toThrow(/VNC server/);
});

it('refuses a rectangle beyond the screen', async () => {
  const [client, server] = duplexPair();
  server.write(opening([1]));
  const screen = await openScreen(client);
  server.end(Buffer.concat([Buffer.from([0, 0]), u16(1), head(3, 0, 4, 1), Buffer.alloc(16)]));
  await expect(screen.look({ x: 0, y: 0, width: 4, height: 2 })).rejects.toThrow(/not asked for/);
});
