/** Calls to a process that may be hostile: a VM answers through here. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createJsonClient, type StreamingClient } from './http-client.js';

let server: Server;
let client: StreamingClient;
let play: (response: ServerResponse, request: IncomingMessage) => void;
/** The connection of the newest call. */
let isOpen = false;

beforeAll(async () => {
  server = createServer((request, response) => {
    isOpen = true;
    response.once('close', () => (isOpen = false));
    play(response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createJsonClient({ baseUrl, unreachable: 'guest_unreachable', name: 'the guest', maxAnswer: 100_000 });
});
afterAll(async () => {
  await client.close();
  server.close();
  server.closeAllConnections();
});

const schema = z.strictObject({ text: z.string() });
const get = () => client.call('GET', '/x', schema);

/** Writes as fast as it is taken, until the other side hangs up. */
function writeForEver(response: ServerResponse, text: string): void {
  while (!response.destroyed && response.write(text)) continue;
  if (!response.destroyed) response.once('drain', () => writeForEver(response, text));
}

test('an answer comes whole, characters of several bytes too', async () => {
  const text = 'ü'.repeat(40_000);
  play = (response) => response.end(JSON.stringify({ text }));
  expect(await get()).toEqual({ text });
});

test.each([200, 500])('an answer of status %i that never ends is left', async (status) => {
  play = (response) => {
    response.writeHead(status);
    writeForEver(response, 'x'.repeat(1000));
  };
  await expect(get()).rejects.toMatchObject({
    code: 'guest_unreachable',
    message: expect.stringContaining('without end'),
  });
  await expect.poll(() => isOpen).toBe(false);
});

test('a line that never ends is left', async () => {
  play = (response) => writeForEver(response, 'x'.repeat(100_000));
  const read = async (): Promise<void> => {
    for await (const line of await client.lines('GET', '/x')) expect(line).toBe('never');
  };
  await expect(read()).rejects.toMatchObject({ code: 'guest_unreachable' });
  await expect.poll(() => isOpen).toBe(false);
});

test.each(['', '[]', '{"text":1}', '{"text":"a","more":1}', '<html>'])('%j is refused', async (body) => {
  play = (response) => response.end(body);
  await expect(get()).rejects.toMatchObject({ code: 'internal' });
});

async function whole(pieces: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all).toString();
}

describe('bytes', () => {
  const read = async () => whole(await client.bytes('GET', '/x'));

  test('come whole', async () => {
    play = (response) => response.end('x'.repeat(1_000_000));
    expect((await read()).length).toBe(1_000_000);
  });

  test('that break off are an error', async () => {
    play = (response) => {
      response.write('x'.repeat(1000));
      setImmediate(() => response.destroy());
    };
    await expect(read()).rejects.toMatchObject({ code: 'guest_unreachable' });
  });

  test('are hung up by whoever leaves them', async () => {
    play = (response) => writeForEver(response, 'x'.repeat(1000));
    for await (const piece of await client.bytes('GET', '/x')) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await expect.poll(() => isOpen).toBe(false);
  });
});

describe('an upload', () => {
  async function* pieces(count: number): AsyncGenerator<Buffer> {
    for (let n = 0; n < count; n++) yield Buffer.alloc(100_000, 'x');
  }
  const send = (count: number) => client.call('POST', '/x', schema, { upload: Readable.from(pieces(count)) });

  test('is sent as it comes', async () => {
    play = (response, request) =>
      void whole(request).then((body) => response.end(JSON.stringify({ text: `${body.length}` })));
    expect(await send(20)).toEqual({ text: '2000000' });
  });

  test('that is refused before its end is left, and the reason is heard', async () => {
    const error = { code: 'vm_exists', message: 'There is one.', hint: '' };
    play = (response, request) => {
      request.once('data', () => {
        response.writeHead(409);
        response.end(JSON.stringify({ error }));
        request.resume();
      });
    };
    await expect(send(1_000_000)).rejects.toMatchObject({ code: 'vm_exists' });
  });

  test('whose source fails is an error, and the other side sees that it is cut', async () => {
    let end: unknown;
    play = (_response, request) => void whole(request).catch((error: unknown) => (end = error));
    async function* broken(): AsyncGenerator<Buffer> {
      yield* pieces(3);
      throw new Error('The file cannot be read.');
    }
    const upload = Readable.from(broken());
    await expect(client.call('POST', '/x', schema, { upload })).rejects.toMatchObject({
      message: expect.stringContaining('cannot be read'),
    });
    await expect.poll(() => end).toMatchObject({ code: 'ECONNRESET' });
  });
});
