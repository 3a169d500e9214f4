import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { findColour } from './image.js';
import { connectRfb, type Rfb } from './rfb.js';
import { answerChallenge } from '@airlock/contract/rfb';

/** The least VNC server: 64x48, answers a picture in two halves, paints a square when `a` is pressed. */
const [width, height] = [64, 48];
const challenge = Buffer.from('0123456789abcdef');
const square = { x: 8, y: 8, width: 20, height: 16 };

let server: Server | undefined;
let client: Rfb | undefined;
afterEach(async () => {
  client?.close();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
});

function rectangle(y: number, rows: number, painted: boolean): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(y, 2);
  header.writeUInt16BE(width, 4);
  header.writeUInt16BE(rows, 6);
  const pixels = Buffer.alloc(width * rows * 4, 200);
  for (let row = 0; row < rows; row += 1) {
    for (let x = 0; x < width; x += 1) {
      const inside =
        x >= square.x && x < square.x + square.width && y + row >= square.y && y + row < square.y + square.height;
      if (painted && inside) pixels.set([220, 38, 38, 0], (row * width + x) * 4);
    }
  }
  return Buffer.concat([header, pixels]);
}

const update = (...rectangles: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, rectangles.length]), ...rectangles]);

/** What a client sends after the handshake, by message type: its length. */
const lengths: Record<number, number> = { 0: 20, 2: 8, 3: 10, 4: 8, 5: 6 };

async function startServer(security: 1 | 2, received: Buffer[] = []): Promise<number> {
  server = createServer((socket) => serve(socket, security, received));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function serve(socket: Socket, security: 1 | 2, received: Buffer[]): void {
  let [data, step, painted, waiting] = [Buffer.alloc(0), 0, false, false];
  const take = (count: number): Buffer | null => {
    if (data.length < count) return null;
    const taken = data.subarray(0, count);
    data = data.subarray(count);
    return taken;
  };
  const init = Buffer.alloc(24);
  init.writeUInt16BE(width, 0);
  init.writeUInt16BE(height, 2);
  init.writeUInt32BE(4, 20);
  const steps: (() => boolean)[] = [
    () => take(12) !== null && socket.write(Buffer.from([1, security])),
    () => take(1) !== null && socket.write(security === 2 ? challenge : Buffer.alloc(4)),
    () => {
      if (security === 1) return true;
      const answer = take(16);
      if (answer === null) return false;
      const right = answer.equals(answerChallenge(challenge, 'geheim'));
      return socket.write(right ? Buffer.alloc(4) : Buffer.from([0, 0, 0, 1, 0, 0, 0, 2, 0x6e, 0x6f]));
    },
    () => take(1) !== null && socket.write(Buffer.concat([init, Buffer.from('test')])),
  ];
  const message = (): boolean => {
    const length = lengths[data[0] ?? -1];
    const bytes = length === undefined ? null : take(length);
    if (bytes === null) return false;
    received.push(Buffer.from(bytes));
    if (bytes[0] === 4 && bytes[1] === 1 && bytes[7] === 0x61) painted = true;
    if (bytes[0] === 3) waiting = waiting || bytes[1] === 1;
    if (bytes[0] === 3 && bytes[1] === 0) {
      socket.write(update(rectangle(0, 20, painted)));
      socket.write(update(rectangle(20, height - 20, painted)));
    }
    if (waiting && painted) {
      waiting = false;
      socket.write(update(rectangle(0, 20, painted)));
    }
    return true;
  };
  socket.write('RFB 003.008\n');
  socket.on('data', (chunk) => {
    data = Buffer.concat([data, chunk]);
    while (step < steps.length ? steps[step]?.() && ++step : message());
  });
  socket.on('error', () => socket.destroy());
}

it('captures the whole screen and sees a change that a key press makes', async () => {
  const port = await startServer(1);
  client = await connectRfb({ port, host: '127.0.0.1' });
  expect(client).toMatchObject({ width, height, name: 'test' });
  const before = await client.capture();
  expect(before.data.every((value, index) => value === (index % 4 === 3 ? 255 : 200))).toBe(true);
  client.type('a');
  const after = await client.waitForChange(before, square, 5_000, 100);
  expect(findColour(after, { r: 220, g: 38, b: 38 })).toEqual(square);
});

it('waits for a change that comes later, and no longer than told', async () => {
  const port = await startServer(1);
  client = await connectRfb({ port, host: '127.0.0.1' });
  const before = await client.capture();
  await expect(client.waitForChange(before, square, 50)).rejects.toThrow(/a change on the screen/);
  const change = client.waitForChange(before, square, 5_000);
  client.press('a');
  await change;
});

it('sends keys and pointer', async () => {
  const received: Buffer[] = [];
  const port = await startServer(1, received);
  client = await connectRfb({ port, host: '127.0.0.1' });
  client.press('Control', 'l');
  client.click(10, 20, 3);
  await client.capture();
  const hex = received.filter(([kind]) => kind === 4 || kind === 5).map((bytes) => bytes.toString('hex'));
  const pressed = ['040100000000ffe3', '040100000000006c', '040000000000006c', '040000000000ffe3'];
  const clicked = ['0500000a0014', '0504000a0014', '0500000a0014'];
  expect(hex).toEqual([...pressed, ...clicked]);
});

it('authenticates with a VNC password, and says why it was refused', async () => {
  const port = await startServer(2);
  client = await connectRfb({ port, host: '127.0.0.1' }, { password: 'geheim' });
  await expect(connectRfb({ port, host: '127.0.0.1' }, { password: 'falsch' })).rejects.toThrow(
    'refused the sign-in: no',
  );
});

it('reports a connection that ends', async () => {
  const port = await startServer(1);
  client = await connectRfb({ port, host: '127.0.0.1' });
  client.close();
  await expect(client.capture()).rejects.toThrow(/Premature close|ended/);
});
