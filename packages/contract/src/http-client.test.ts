/** Calls to a process that may be hostile: a VM answers through here. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createJsonClient, type JsonClient } from './http-client.js';

let server: Server;
let client: JsonClient;
let play: (response: ServerResponse) => void;
/** The connection of the newest call. */
let isOpen = false;

beforeAll(async () => {
  server = createServer((_request, response) => {
    isOpen = true;
    response.once('close', () => (isOpen = false));
    play(response);
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
