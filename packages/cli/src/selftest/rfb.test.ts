import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { startRfb } from './rfb.js';
import type { ByteStream } from './socket.js';

/** A stream whose other end a test plays: `give` is what the server says, `got` what the client said. */
function fakeStream() {
  const input = new PassThrough();
  const got: Buffer[] = [];
  const stream: ByteStream = {
    async read(length) {
      for (;;) {
        const chunk = length === 0 ? Buffer.alloc(0) : (input.read(length) as Buffer | null);
        if (chunk) return chunk;
        if (input.readableEnded || input.destroyed) throw new Error('ended');
        await new Promise((resolve) => input.once('readable', resolve));
      }
    },
    write: (bytes) => void got.push(bytes),
    closed: new Promise(() => undefined),
    close: () => input.destroy(),
  };
  return { stream, got, give: (bytes: Buffer) => void input.write(bytes) };
}

const hello = (width: number, height: number): Buffer => {
  const init = Buffer.alloc(24);
  init.writeUInt16BE(width, 0);
  init.writeUInt16BE(height, 2);
  init.writeUInt32BE(4, 20);
  return Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.from([1, 1]), Buffer.alloc(4), init, Buffer.from('test')]);
};

const rectangle = (x: number, y: number, width: number, height: number, colour: number): Buffer => {
  const head = Buffer.alloc(16);
  head.writeUInt16BE(1, 2);
  [x, y, width, height].forEach((value, index) => head.writeUInt16BE(value, 4 + index * 2));
  const pixels = Buffer.alloc(width * height * 4);
  for (let at = 0; at < pixels.length; at += 4) pixels.writeUInt32LE(colour, at);
  return Buffer.concat([head, pixels]);
};

test('shakes hands, draws updates, sends keys and clicks', async () => {
  const { stream, got, give } = fakeStream();
  give(hello(4, 2));
  give(rectangle(0, 0, 4, 2, 7));
  const rfb = await startRfb(stream);
  expect(rfb.screen).toMatchObject({ width: 4, height: 2 });

  const changed = rfb.changed();
  give(Buffer.from([2]));
  give(rectangle(1, 1, 2, 1, 9));
  await changed;
  expect([...new Uint32Array(rfb.screen.data.buffer, rfb.screen.data.byteOffset, 8)]).toEqual([7, 7, 7, 7, 7, 9, 9, 7]);

  got.length = 0;
  rfb.type('a\n');
  rfb.click(3, 1);
  expect(got.map((message) => message.toString('hex'))).toEqual([
    '0401000000000061',
    '0400000000000061',
    '040100000000ff0d',
    '040000000000ff0d',
    '050000030001',
    '050100030001',
    '050000030001',
  ]);
});

test.each([
  ['another protocol', Buffer.from('HTTP/1.1 400'), /begin with an RFB banner, but with "HTTP/],
  ['a password', Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.from([1, 2])]), /only security types 2/],
])('refuses a server with %s', async (_name, bytes, message) => {
  const { stream, give } = fakeStream();
  give(bytes);
  await expect(startRfb(stream)).rejects.toThrow(message);
});

test('who waits for a change learns that the stream ended', async () => {
  const { stream, give } = fakeStream();
  give(hello(4, 2));
  give(rectangle(0, 0, 4, 2, 7));
  const rfb = await startRfb(stream);
  const changed = rfb.changed();
  give(Buffer.from([9]));
  expect(await changed).toMatchObject({ code: 'guest_refused', message: expect.stringContaining('type 9') as string });
  await expect(rfb.refresh()).rejects.toThrow('type 9');
});
