import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { openDesktop, showDesktop } from './desktop.js';
import { answerChallenge } from '@airlock/contract/rfb';
import { readExactly } from './stream.js';

const never = new AbortController().signal;
const open: { close: () => void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({ close: () => server.close() });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A VNC server that knows `password` and echoes whatever follows the handshake. Null: it asks for none. */
function fakeVnc(password: string | null, banner = 'RFB 003.008\n'): Promise<number> {
  const challenge = Buffer.from('0123456789abcdef');
  const talk = async (socket: Socket): Promise<void> => {
    socket.write(banner);
    await readExactly(socket, 12, never);
    socket.write(Buffer.from(password === null ? [1, 1] : [2, 2, 16]));
    await readExactly(socket, 1, never);
    if (password !== null) {
      socket.write(challenge);
      const answer = await readExactly(socket, 16, never);
      if (!answer.equals(answerChallenge(challenge, password))) {
        const reason = Buffer.from('password check failed!');
        const head = Buffer.alloc(8);
        head.writeUInt32BE(1, 0);
        head.writeUInt32BE(reason.length, 4);
        socket.end(Buffer.concat([head, reason]));
        return;
      }
    }
    socket.write(Buffer.alloc(4));
    socket.pipe(socket);
  };
  return listen((socket) => void talk(socket).catch(() => socket.destroy()));
}

const optionsFor = (port: number, password: string) => ({
  to: { host: '127.0.0.1', port },
  password,
  handshakeMs: 2000,
  signal: never,
});

/** A viewer connected through the desktop, its handshake done. */
async function view(vncPort: number, password: string): Promise<Socket> {
  const vnc = await openDesktop(optionsFor(vncPort, password));
  const port = await listen((socket) => void showDesktop(socket, vnc, optionsFor(vncPort, password)).catch(() => null));
  const viewer = connect(port, '127.0.0.1');
  open.push({ close: () => viewer.destroy() });
  expect((await readExactly(viewer, 12, never)).toString()).toBe('RFB 003.008\n');
  viewer.write('RFB 003.008\n');
  expect([...(await readExactly(viewer, 2, never))]).toEqual([1, 1]);
  viewer.write(Buffer.from([1]));
  expect([...(await readExactly(viewer, 4, never))]).toEqual([0, 0, 0, 0]);
  return viewer;
}

it('answers a challenge as other VNC clients do', () => {
  // Computed by the DES of OpenSSL's legacy provider: password "password", challenge of bytes 0–15.
  const challenge = Buffer.from(Array.from({ length: 16 }, (_value, index) => index));
  expect(answerChallenge(challenge, 'password').toString('hex')).toBe('b866924125c8eebb9debc1db61c538e2');
});

describe('the desktop', () => {
  it.each(['pa55Word', 'short'])('shows it to a viewer that has no password (%s)', async (password) => {
    const viewer = await view(await fakeVnc(password), password);
    viewer.write(Buffer.from([1]));
    expect([...(await readExactly(viewer, 1, never))]).toEqual([1]);
  });

  it('passes megabytes both ways for several viewers at once', async () => {
    const port = await fakeVnc('pa55Word');
    const data = Buffer.alloc(3_000_000, 'airlock');
    const viewers = await Promise.all([view(port, 'pa55Word'), view(port, 'pa55Word')]);
    const counts = await Promise.all(
      viewers.map(async (viewer) => {
        viewer.write(data);
        let received = 0;
        while (received < data.length) received += (await readExactly(viewer, 1000, never)).length;
        return received;
      }),
    );
    expect(counts).toEqual([data.length, data.length]);
  });

  it('closes the server side when the viewer leaves, and the other way round', async () => {
    const sockets: Socket[] = [];
    const inner = await fakeVnc(null);
    const port = await listen((socket) => {
      sockets.push(socket);
      const through = connect(inner, '127.0.0.1');
      through.on('error', () => socket.destroy());
      socket.pipe(through).pipe(socket);
    });
    const leaving = await view(port, 'unused');
    leaving.destroy();
    await expect.poll(() => sockets[0]?.closed).toBe(true);

    const left = await view(port, 'unused');
    sockets[1]?.destroy();
    left.resume();
    await once(left, 'close');
  });

  it.each([
    ['a wrong password', () => fakeVnc('other123'), 'guest_refused', 'password check failed!'],
    ['an old protocol', () => fakeVnc('pa55Word', 'RFB 003.003\n'), 'guest_refused', 'RFB 003.003'],
    ['no VNC server', () => listen((socket) => socket.end('HTTP/1.1 400 Bad\r\n\r\n')), 'guest_unreachable', 'banner'],
    ['an end too early', () => listen((socket) => socket.end('RFB')), 'guest_unreachable', 'ended'],
    ['nobody', () => Promise.resolve(1), 'guest_unreachable', 'did not answer'],
  ])('%s is an error with its reason', async (_name, server, code, words) => {
    const error: unknown = await openDesktop(optionsFor(await server(), 'pa55Word')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) as string });
  });

  it('gives up on a server that says nothing', async () => {
    const port = await listen(() => undefined);
    const options = { ...optionsFor(port, 'pa55Word'), handshakeMs: 50 };
    await expect(openDesktop(options)).rejects.toMatchObject({ code: 'guest_unreachable' });
  });
});

describe('a side that drips', () => {
  const drip = (socket: Socket): void => {
    const timer = setInterval(() => socket.write('R'), 20);
    socket.once('close', () => clearInterval(timer));
  };

  it('is given up as a server when the time of the handshake is over', async () => {
    // Each byte is of a longer reason: there is always more to come.
    const refusal = Buffer.from('RFB 003.008\n\0\x7f\xff\xff\xff', 'latin1');
    const port = await listen((socket) => {
      socket.write(refusal);
      drip(socket);
    });
    const options = { ...optionsFor(port, 'pa55Word'), handshakeMs: 300 };
    await expect(openDesktop(options)).rejects.toMatchObject({ code: expect.stringMatching(/^guest_/) as string });
  });

  it('is given up as a viewer', async () => {
    const vnc = await openDesktop(optionsFor(await fakeVnc(null), 'unused'));
    const shown = new Promise((resolve) => {
      void listen((socket) => {
        const options = { ...optionsFor(1, 'unused'), handshakeMs: 300 };
        resolve(showDesktop(socket, vnc, options).catch((error: unknown) => error));
      }).then((port) => drip(connect(port, '127.0.0.1').on('error', () => undefined)));
    });
    expect(await shown).toBeInstanceOf(Error);
    expect(vnc.destroyed).toBe(true);
  });
});
