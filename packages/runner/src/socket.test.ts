/** Connections that rest: only one side may end them, or the call that was just sent is lost. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createGuestAgent } from './guest/agent.js';
import { openRunnerSocket, type RunnerHandlers } from './socket.js';

it('the runner ends none that its caller lets rest', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'al-socket-'));
  const socketPath = join(folder, 'r.sock');
  const socket = await openRunnerSocket(socketPath, { status: () => ({}) } as unknown as RunnerHandlers);
  const [answer] = (await once(get({ socketPath, path: '/status' }), 'response')) as [IncomingMessage];
  // Where a server ends them, it says after how long.
  expect([answer.statusCode, answer.headers['keep-alive']]).toEqual([200, undefined]);
  answer.resume();
  await socket.close();
  await rm(folder, { recursive: true });
});

it('towards the agent the runner ends them, before the agent does', async () => {
  const server = createServer((_request, response) => response.writeHead(204).end());
  server.keepAliveTimeout = 60_000;
  const ended = new Promise<void>((resolve) => server.once('connection', (one: Socket) => one.once('end', resolve)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = createGuestAgent(() => ({ host: '127.0.0.1', port }), 'a-token-of-this-test');
  await agent.powerOff(new AbortController().signal);
  await expect(ended).resolves.toBeUndefined();
  agent.close();
  server.close();
});
