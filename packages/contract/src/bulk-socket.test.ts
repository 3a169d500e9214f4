import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectBulk, type BulkSocket } from './bulk-socket.js';

const mib = 1024 * 1024;
const hash = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

let server: Server;
let near: BulkSocket;
let far: Socket;

beforeEach(async () => {
  server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  near = connectBulk({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  [far] = (await once(server, 'connection')) as [Socket];
  far.on('error', () => far.destroy());
});

afterEach(async () => {
  near.destroy();
  far.destroy();
  server.close();
  await once(server, 'close');
});

/** Takes everything that is forwarded; each chunk is given back a little later, while its bytes are compared. */
function takeAll(): () => Buffer {
  const copies: Buffer[] = [];
  near.forward((chunk, release) => {
    const before = Buffer.from(chunk);
    copies.push(before);
    void setImmediate().then(() => {
      expect(chunk.equals(before)).toBe(true);
      release();
    });
  });
  return () => Buffer.concat(copies);
}

/** Writes without end. Returns how many bytes the system has taken. */
function pour(): () => number {
  const block = Buffer.alloc(64 * 1024, 1);
  let taken = 0;
  const more = (): void => {
    while (far.write(block, () => (taken += block.length)));
  };
  far.on('drain', more);
  more();
  return () => taken;
}

/** Resolves with the value of `read` once it has been the same for a while. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  await expect
    .poll(
      () => {
        const same = read() === last;
        last = read();
        return same;
      },
      { interval: 300, timeout: 10_000 },
    )
    .toBe(true);
  return last;
}

describe('a connection for bulk', () => {
  it('is an ordinary socket at first, and loses nothing when it stops being one', async () => {
    far.write('RFB 003.008\n');
    expect(String((await once(near, 'data'))[0])).toBe('RFB 003.008\n');
    near.pause();
    near.unshift('first ');
    const taken = takeAll();
    far.write('second');
    await expect.poll(() => taken().toString()).toBe('first second');
    near.write('back');
    expect(String((await once(far, 'data'))[0])).toBe('back');
  });

  it('reads no further than its buffer while nobody listens', async () => {
    const sent = pour();
    expect(await settled(sent)).toBeLessThan(16 * mib);
    expect(near.readableLength).toBeLessThanOrEqual(mib);
  });

  it('forwards every byte in order and then says that it has ended', async () => {
    const data = randomBytes(20 * mib + 1);
    const taken = takeAll();
    far.end(data);
    await once(near, 'end');
    expect(hash(taken())).toBe(hash(data));
  });

  it('holds two chunks at most, and goes on when one is given back', async () => {
    const held: (() => void)[] = [];
    let bytes = 0;
    near.forward((chunk, release) => {
      bytes += chunk.length;
      held.push(release);
    });
    const sent = pour();
    expect(await settled(sent)).toBeLessThan(16 * mib);
    expect(held).toHaveLength(2);
    expect(bytes).toBeLessThanOrEqual(512 * 1024);
    const before = bytes;
    held.shift()?.();
    await expect.poll(() => bytes).toBeGreaterThan(before);
    expect(held).toHaveLength(2);
  });
});
