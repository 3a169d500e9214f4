/** Calls of the API against a server that answers as a test wants; the real one is in tests/vm/driver. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { connectApi } from './client.js';

let folder: string;
let stream: Duplex;
let server: Server | undefined;
const never = new AbortController().signal;
const pause = { name: 'PATCH /vm', body: { state: 'Paused' } } as const;
const entropy = { name: 'PUT /entropy', body: {} } as const;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-fc-api-'));
});
afterEach(async () => {
  vi.useRealTimers();
  server?.closeAllConnections();
  if (server?.listening) server.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

/** Answers each call by `answer`; tells which came. */
async function serve(answer: (path: string, response: ServerResponse) => void): Promise<string[]> {
  const seen: string[] = [];
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume();
    request.once('end', () => answer(request.url ?? '', response));
  });
  server.listen(join(folder, 's'));
  await once(server, 'listening');
  return seen;
}
/** By a stream that is no socket, as the helper's connection gives one. */
function api(): ReturnType<typeof connectApi> {
  const socket = connect(join(folder, 's'));
  stream = Duplex.from({ readable: socket, writable: socket });
  return connectApi(stream);
}

it('sends one call after the other, and the next one also after a refused one', async () => {
  const answers: ServerResponse[] = [];
  const seen = await serve((_path, response) => void answers.push(response));
  const { call } = api();
  const both = [call(pause, never), call(entropy, never)];
  await vi.waitUntil(() => answers.length === 1);
  expect(seen).toEqual(['PATCH /vm']);
  answers[0]?.writeHead(400).end('{"fault_message":"The requested operation is not supported."}');
  await vi.waitUntil(() => answers.length === 2);
  answers[1]?.writeHead(204).end();
  expect(await Promise.allSettled(both)).toMatchObject([
    {
      reason: {
        code: 'vmm_failed',
        message: 'Firecracker refused PATCH /vm: The requested operation is not supported.',
      },
    },
    { status: 'fulfilled' },
  ]);
});

it('learns the version, and sends what comes then on the same connection', async () => {
  const seen = await serve((path, response) =>
    response.end(path === '/version' ? '{"firecracker_version":"1.12.1"}' : ''),
  );
  const { version, call } = api();
  expect(await version(never)).toBe('1.12.1');
  await call(pause, never);
  await call(entropy, never);
  const before = stream.listenerCount('error');
  await call(entropy, never);
  expect(stream.listenerCount('error')).toBe(before);
  expect(seen).toEqual(['GET /version', 'PATCH /vm', 'PUT /entropy', 'PUT /entropy']);
});

it.each([
  ['no JSON', (response: ServerResponse) => response.end('hello')],
  ['no version', (response: ServerResponse) => response.end('{}')],
  ['an endless answer', (response: ServerResponse) => response.end('x'.repeat(100_000))],
  ['a closed connection', (response: ServerResponse) => response.destroy()],
  ['a refusal without words', (response: ServerResponse) => response.writeHead(500).end()],
])('fails by %s', async (_what, answer) => {
  await serve((_path, response) => void answer(response));
  await expect(api().version(never)).rejects.toMatchObject({ code: 'vmm_failed' });
});

it('does not wait longer than its deadline for an answer, nor beyond its signal', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const seen = await serve(() => undefined);
  const [one, other] = [api(), api()];
  const late = one.call(pause, never);
  const over = new AbortController();
  const given = other.call(entropy, over.signal);
  const both = Promise.allSettled([late, given]);
  while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
  over.abort(new AppError('aborted', 'not wanted any more'));
  vi.advanceTimersByTime(10_000);
  expect(await both).toMatchObject([
    { reason: { code: 'vmm_failed', message: expect.stringContaining('within 10000 ms') } },
    { reason: { code: 'aborted' } },
  ]);
  // What became of that call is not known, and its answer must not be taken for another's.
  await expect(one.call(entropy, never)).rejects.toMatchObject({ code: 'vmm_failed' });
});
