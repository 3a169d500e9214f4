/** Slow and many connections, as an attacker opens them, beside people who work. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { ErrorResponse } from '@airlock/contract/errors';
import { usualPatience } from './sockets.js';
import type { HttpDeps, Server } from './deps.js';
import { useTestController, type Person } from './testing/controller.js';

const c = useTestController();
const soon = (check: () => void | Promise<void>): Promise<void> => vi.waitFor(check, { timeout: 20_000 });
const patience = { ...usualPatience, headMs: 1_000, requestMs: 2_000, checkMs: 100 };
let server: Server;
let base: string;
const open = new Set<Socket>();

afterEach(async () => {
  open.forEach((socket) => socket.destroy());
  await server.close();
});

const start = async (change: Partial<HttpDeps>): Promise<void> =>
  void ({ server, url: base } = await c.another({ patience, ...change }));

interface Caller {
  /** What the server has answered. */
  text(): string;
  socket: Socket;
}

/** Connects and sends this, and nothing more. */
async function send(text: string): Promise<Caller> {
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  open.add(socket);
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  socket.on('error', () => undefined);
  socket.once('close', () => open.delete(socket));
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return { text: () => answer, socket };
}
const many = (count: number, text: string): Promise<Caller[]> =>
  Promise.all(Array.from({ length: count }, () => send(text)));

const head = (path: string, more: string[] = []): string =>
  [`POST ${path} HTTP/1.1`, `host: ${new URL(base).host}`, 'content-type: application/json', ...more].join('\r\n');
const bearer = ({ token }: Person): string => `authorization: Bearer ${token}`;
const halfBody = (more: string[] = []): string =>
  `${head('/api/vm/auth', ['content-length: 100', ...more])}\r\n\r\n{"provider"`;

/** Starts a sign-in and follows it; answers how many events have come. */
async function signIn(person: Person): Promise<{ change(): void; events(): number; stream: IncomingMessage }> {
  const { status, json } = await c.call('POST', '/api/vm/auth', {
    base,
    token: person.token,
    body: { provider: 'codex' },
  });
  expect(status).toBe(202);
  const id = String(json.sessionId);
  const request = get(`${base}/api/vm/auth/${id}/events`, {
    headers: { authorization: `Bearer ${person.token}` },
    agent: false,
  });
  const [stream] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  stream.on('error', () => undefined);
  return { stream, events: () => text.split('event: session').length - 1, change: () => c.sessions.change(id, {}) };
}

describe('requests that never come whole', () => {
  test('500 half-sent bodies, and 500 half-sent heads, hold up no sign-in, and are ended', async () => {
    await start({ patience: { ...patience, headMs: 5_000, requestMs: 8_000 } });
    const flood = [
      await many(420, halfBody()),
      await many(80, halfBody([bearer(c.bob)])),
      await many(250, head('/api/vm/auth')),
      await many(250, ''),
    ];
    const { events, change } = await signIn(c.ada);
    await soon(() => expect(events()).toBe(1));
    change();
    await soon(() => expect(events()).toBe(2));
    expect(open.size).toBeGreaterThan(500);
    await soon(() => expect(open.size).toBe(0));
    const [strangers = [], bobs = []] = flood.map((callers) => callers.map(({ text }) => text()));
    expect(strangers.every((text) => text.startsWith('HTTP/1.1 401 '))).toBe(true);
    for (const text of bobs) {
      const [first, body = ''] = text.split('\r\n\r\n');
      expect(first).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
      expect(ErrorResponse.parse(JSON.parse(body)).error.code).toBe('request_timeout');
    }
    change();
    await soon(() => expect(events()).toBe(3));
  }, 60_000);

  test('what is no request is answered as every error is', async () => {
    await start({});
    const { text, socket } = await send('GET / HTTP/1.1\r\nbad header\r\n\r\n');
    await once(socket, 'close');
    expect(text()).toMatch(/^HTTP\/1\.1 400 /);
    expect(ErrorResponse.parse(JSON.parse(text().split('\r\n\r\n')[1] ?? '')).error.code).toBe('invalid_request');
  });
});

test('too many connections: those go that do nothing for anybody, and who works stays', async () => {
  const max = 50;
  await start({ settings: { ...c.settings, AIRLOCK_MAX_CONNECTIONS: max }, patience: usualPatience });
  const { events, change } = await signIn(c.ada);
  for (let round = 0; round < 10; round++) {
    await many(round % 2 === 0 ? max : 10, round % 3 === 0 ? '' : halfBody());
    const count = await new Promise<number>((resolve, reject) =>
      server.server.getConnections((error, found) => (error ? reject(error) : resolve(found))),
    );
    expect(count).toBeLessThanOrEqual(max);
    expect((await c.call('GET', '/api/me', { base, token: c.ada.token })).status).toBe(200);
    change();
  }
  await soon(() => expect(events()).toBe(11));
}, 30_000);

const me = (person: Person): string => `${head('/api/me', [bearer(person)]).replace('POST', 'GET')}\r\n\r\n`;
const isAnswered = ({ text }: Caller): void => expect(text()).toMatch(/^HTTP\/1\.1 200 /);

test('viewers count among the connections, and none of them is the first to go', async () => {
  const max = 40;
  await start({ settings: { ...c.settings, AIRLOCK_MAX_CONNECTIONS: max, AIRLOCK_USER_VIEWERS: max } });
  const { id } = c.vms.add(c.ada.user.id);
  const view = async (): Promise<WebSocket> => {
    const { ticket } = await c.users.createDesktopTicket(c.ada.user.id, id, null);
    const viewer = new WebSocket(new URL(`/api/vm/${id}/desktop?ticket=${ticket}`, base.replace('http', 'ws')));
    viewer.on('error', () => undefined);
    await once(viewer, 'open');
    return viewer;
  };
  const viewers: WebSocket[] = [];
  while (viewers.length < max * 0.9) viewers.push(await view());
  for (let turn = 0; turn < 20; turn++) {
    const stranger = await send(`${head('/api/me').replace('POST', 'GET')}\r\n\r\n`);
    await soon(() => expect(stranger.text() !== '' || stranger.socket.destroyed).toBe(true));
  }
  const bobs = await send(me(c.bob));
  await soon(() => isAnswered(bobs));
  expect(viewers.every(({ readyState }) => readyState === WebSocket.OPEN)).toBe(true);
  viewers.forEach((viewer) => viewer.terminate());
}, 30_000);

test('what one user lets rest crowds out nobody: a twentieth of all connections, of which the oldest goes', async () => {
  const max = 100;
  await start({ settings: { ...c.settings, AIRLOCK_MAX_CONNECTIONS: max }, patience: usualPatience });
  const adas = await send(me(c.ada));
  await soon(() => isAnswered(adas));
  const coming = await send(halfBody());
  const bobs: Caller[] = [];
  for (let turn = 0; turn < 10; turn++) {
    const batch = await many(20, me(c.bob));
    await soon(() => batch.forEach(isAnswered));
    bobs.push(...batch);
  }
  await soon(() => expect(bobs.filter(({ socket }) => !socket.destroyed)).toHaveLength(max * 0.05));
  expect([adas, coming].map(({ socket }) => socket.destroyed)).toEqual([false, false]);
}, 30_000);

describe('an upload', () => {
  const upload = (): string =>
    `${head('/api/vm/restore', [bearer(c.ada), 'transfer-encoding: chunked']).replace('application/json', 'application/octet-stream')}\r\n\r\n`;
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const line = `${JSON.stringify({ passphrase: 'correct horse battery' })}\n`;
  /** Sends a byte now and then, until the connection is gone. */
  function drip(socket: Socket): void {
    const timer = setInterval(() => socket.write(chunk('x')), 50);
    socket.once('close', () => clearInterval(timer));
  }

  test('takes as long as it takes', async () => {
    let read = 0;
    const restore: HttpDeps['vms']['restore'] = async (file) => {
      for await (const bytes of file) read += bytes.length;
      return c.vms.add(c.ada.user.id, { kind: 'cli', state: 'stopped' });
    };
    await start({ vms: { ...c.vms, restore } });
    const { socket, text } = await send(`${upload()}${chunk(line)}`);
    drip(socket);
    const idle = await send(head('/api/me'));
    await once(idle.socket, 'close');
    const lateForABody = await send(halfBody([bearer(c.bob)]));
    await once(lateForABody.socket, 'close');
    expect(read).toBeGreaterThan(20);
    socket.write('0\r\n\r\n');
    await soon(() => expect(text()).toMatch(/^HTTP\/1\.1 201 /));
  }, 20_000);

  test('that was refused has to come to its end like any other request', async () => {
    await start({});
    const { socket, text } = await send(`${upload()}${chunk('no JSON\n')}`);
    drip(socket);
    await soon(() => expect(text()).toMatch(/^HTTP\/1\.1 400 /));
    await once(socket, 'close');
  }, 20_000);
});

test('a WebSocket where there is none is refused before it is opened, and holds no connection', async () => {
  await start({});
  const ask = `GET /healthz HTTP/1.1\r\nhost: ${new URL(base).host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n`;
  const { socket, text } = await send(
    `${ask}sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n`,
  );
  await soon(() => expect(socket.destroyed || socket.readableEnded).toBe(true));
  expect(text()).toMatch(/^HTTP\/1\.1 400 /);
});
