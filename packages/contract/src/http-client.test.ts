/** Calls to a process that may be hostile: a VM answers through here. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { AppError } from './errors.js';
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

/** Writes a byte every so often, less than any silence, until the other side hangs up. */
function drip(response: ServerResponse, text = ' '): void {
  response.write(text);
  const timer = setInterval(() => response.write(text), 20);
  response.once('close', () => clearInterval(timer));
}

describe('an answer that drips', () => {
  test.each([200, 500])('has an end in all, with status %i', async (status) => {
    play = (response) => drip(response.writeHead(status));
    await expect(client.call('GET', '/x', schema, { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'guest_unreachable',
      message: 'GET /x: the guest did not answer whole within 200 ms.',
    });
    await expect.poll(() => isOpen).toBe(false);
  });

  test.each(['lines', 'bytes', 'events'] as const)('has one as a stream, too: %s', async (kind) => {
    play = (response) => drip(response, 'data: x\n\n');
    let came = 0;
    const read = async (): Promise<void> => {
      for await (const _ of await client[kind]('GET', '/x', { timeoutMs: 5000, totalMs: 300 })) came += 1;
    };
    await expect(read()).rejects.toMatchObject({
      code: 'guest_unreachable',
      message: 'GET /x: the guest did not answer whole within 300 ms.',
    });
    expect(came).toBeGreaterThan(1);
    await expect.poll(() => isOpen).toBe(false);
  });

  test('goes on for ever as a stream that has no end, and is told from one that is silent', async () => {
    play = (response) => void response.write('one\n');
    const read = async (): Promise<void> => {
      for await (const line of await client.lines('GET', '/x', { timeoutMs: 300 })) expect(line).toBe('one');
    };
    await expect(read()).rejects.toMatchObject({ message: 'GET /x: the guest was silent for 300 ms.' });
  });

  test('ends with its caller, for the reason of the caller', async () => {
    play = (response) => drip(response);
    const why = new AppError('shutting_down', 'No more.');
    const caller = new AbortController();
    const asked = client.call('GET', '/x', schema, { signal: caller.signal });
    await expect.poll(() => isOpen).toBe(true);
    caller.abort(why);
    await expect(asked).rejects.toBe(why);
    await expect.poll(() => isOpen).toBe(false);
  });

  test('ends with its client', async () => {
    play = (response) => drip(response);
    const { port } = server.address() as AddressInfo;
    const other = createJsonClient({ baseUrl: `http://127.0.0.1:${port}`, unreachable: 'runner_failed', name: 'it' });
    const asked = other.call('GET', '/x', schema);
    await expect.poll(() => isOpen).toBe(true);
    await Promise.all([other.close(), expect(asked).rejects.toMatchObject({ code: 'runner_failed' })]);
  });
});

test('who is reached and does not answer is told from who is not reached', async () => {
  const unanswered = (path: string) => (path === '/x' ? ('guest_unreachable' as const) : ('runner_failed' as const));
  const { port } = server.address() as AddressInfo;
  const target = { unreachable: 'runner_failed', unanswered, name: 'the runner' } as const;
  const other = createJsonClient({ ...target, baseUrl: `http://127.0.0.1:${port}` });
  play = (response) => void response.write(' ');
  const timeoutMs = 100;
  await expect(other.call('GET', '/x', schema, { timeoutMs })).rejects.toMatchObject({ code: 'guest_unreachable' });
  await expect(other.call('GET', '/y', schema, { timeoutMs })).rejects.toMatchObject({ code: 'runner_failed' });
  await other.close();
  const nobody = createJsonClient({ ...target, baseUrl: 'http://127.0.0.1:1' });
  await expect(nobody.call('GET', '/x', schema)).rejects.toMatchObject({ code: 'runner_failed' });
  await nobody.close();
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
