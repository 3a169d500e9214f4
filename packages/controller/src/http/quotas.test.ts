/** What one user may have open at a time, attacked by a greedy one; somebody else notices nothing. */
import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { DesktopTicket } from '@airlock/contract/api';
import { ErrorResponse, type ErrorBody } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { createConnections, type Connections } from '../revocation/connections.js';
import { useTestController, type Person } from './testing/controller.js';

const c = useTestController();
const soon = (check: () => void | Promise<void>): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 10 });
const auth = ({ token }: Person) => ({ authorization: `Bearer ${token}` });
const times = <T>(count: number, work: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, work));
const opened = <T extends object>(all: (T | ErrorBody)[]): T[] => all.filter((one): one is T => !('code' in one));
const refused = (all: object[]): ErrorBody[] => all.filter((one): one is ErrorBody => 'code' in one);

async function errorOf(response: IncomingMessage): Promise<ErrorBody> {
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return ErrorResponse.parse(JSON.parse(text)).error;
}

describe('event streams', () => {
  const limit = 20;
  const start = async (person: Person): Promise<string> => {
    const { json } = await c.call('POST', '/api/vm/auth', { token: person.token, body: { provider: 'codex' } });
    return String(json.sessionId);
  };
  async function follow(id: string, person: Person): Promise<ClientRequest | ErrorBody> {
    const asked = request(`${c.url}/api/vm/auth/${id}/events`, { headers: auth(person), agent: false });
    asked.on('error', () => undefined);
    const [response] = (await once(asked.end(), 'response')) as [IncomingMessage];
    return response.statusCode === 200 ? (response.resume(), asked) : errorOf(response);
  }

  test('are so many, none of which is lost to those that were refused or broken off', async () => {
    const [id, bobs] = [await start(c.ada), await start(c.bob)];
    const none = await times(30, () => follow(newId('ses'), c.ada));
    expect(new Set(refused(none).map(({ code }) => code))).toEqual(new Set(['not_found']));
    const streams = await times(limit + 5, () => follow(id, c.ada));
    expect(opened(streams)).toHaveLength(limit);
    const [first] = refused(streams);
    expect(first).toMatchObject({ code: 'quota_exceeded', details: { quota: 'streams', limit, retryAt: null } });
    const [other] = opened([await follow(bobs, c.bob)]);
    opened(streams).forEach((stream) => stream.destroy());
    await soon(() => expect(c.sessions.listeners(id)).toBe(0));
    const again = await times(limit + 1, () => follow(id, c.ada));
    expect(opened(again)).toHaveLength(limit);
    [...opened(again), other].forEach((stream) => stream?.destroy());
  });
});

describe('viewers', () => {
  const limit = 8;
  const ticket = async (id: string): Promise<string> =>
    DesktopTicket.parse((await c.call('POST', `/api/vm/${id}/desktop-ticket`, { token: c.ada.token })).json).path;
  function view(path: string): Promise<WebSocket | ErrorBody> {
    const socket = new WebSocket(new URL(path, c.url.replace('http', 'ws')), ['binary'], { headers: auth(c.ada) });
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket));
      socket.once('unexpected-response', (_request, response: IncomingMessage) => resolve(errorOf(response)));
      socket.on('error', reject);
    });
  }

  test('are so many of a user, over all VMs, none of which is lost to those that were refused', async () => {
    const [one, two] = [c.vms.add(c.ada.user.id).id, c.vms.add(c.ada.user.id).id];
    for (let turn = 0; turn < 2 * limit; turn++) {
      const wrong = await view(`/api/vm/${one}/desktop?ticket=${'x'.repeat(43)}`);
      expect(wrong).toMatchObject({ code: 'ticket_invalid' });
    }
    const viewers: WebSocket[] = [];
    for (let turn = 0; turn < limit; turn++) viewers.push(...opened([await view(await ticket(turn % 2 ? one : two))]));
    expect(viewers).toHaveLength(limit);
    expect(await view(await ticket(one))).toMatchObject({
      code: 'quota_exceeded',
      details: { quota: 'viewers', limit },
    });
    viewers[0]?.close();
    await soon(() => expect(c.vms.desktops.size).toBe(limit - 1));
    const [late] = opened([await view(await ticket(one))]);
    expect(late).toBeDefined();
    [...viewers, late].forEach((viewer) => viewer?.terminate());
    await soon(() => expect(c.vms.desktops.size).toBe(0));
  });
});

test('requests of one user under way are so many, whatever they wait for', async () => {
  const limit = 100;
  const text = ['POST /api/vm/auth HTTP/1.1', `host: ${new URL(c.url).host}`, `authorization: Bearer ${c.ada.token}`];
  const head = [...text, 'content-type: application/json', 'content-length: 100'].join('\r\n');
  const answers: string[] = [];
  const sockets = await times(limit + 30, async () => {
    const socket = connect(Number(new URL(c.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => answers.push(data.toString()));
    await once(socket, 'connect');
    socket.write(`${head}\r\n\r\n{`);
    return socket;
  });
  await soon(() => expect(answers).toHaveLength(30));
  expect(answers.every((answer) => answer.includes('"quota":"requests"'))).toBe(true);
  expect((await c.call('GET', '/api/me', { token: c.ada.token })).json.error?.code).toBe('quota_exceeded');
  expect((await c.call('GET', '/api/me', { token: c.bob.token })).status).toBe(200);
  sockets.forEach((socket) => socket.destroy());
  await soon(async () => expect((await c.call('GET', '/api/me', { token: c.ada.token })).status).toBe(200));
});

test('requests that wait behind others on a connection that breaks are counted no longer, nor is what they opened', async () => {
  const connections = createConnections();
  let live = 0;
  const counted: Connections = {
    ...connections,
    open(end) {
      live++;
      const one = connections.open(end);
      let isOpen = true;
      return { ...one, close: () => (isOpen && live--, (isOpen = false), one.close()) };
    },
  };
  const { url: base, server } = await c.another({ connections: counted });
  const { json } = await c.call('POST', '/api/vm/auth', { base, token: c.ada.token, body: { provider: 'codex' } });
  const id = String(json.sessionId);
  const ask = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nhost: ${new URL(base).host}\r\nauthorization: Bearer ${c.ada.token}\r\n\r\n`;
  const pipelined = [`/api/vm/auth/${id}/events`, '/api/me', `/api/vm/auth/${id}/events`].map(ask).join('');
  for (let turn = 0; turn < 100; turn++) {
    const socket = connect(Number(new URL(base).port), '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(pipelined);
    await once(socket, 'data');
    // Each third before the last ones were looked at.
    if (turn % 3 > 0) await soon(() => expect(c.sessions.listeners(id)).toBe(2));
    socket.destroy();
  }
  await soon(() => expect([live, c.sessions.listeners(id)]).toEqual([0, 0]));
  const answers = await times(100, () => c.call('GET', '/api/me', { base, token: c.ada.token }));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  await server.close();
}, 60_000);

test('homes that one user restores are two at a time', async () => {
  let begun = 0;
  const { url: base, server } = await c.another({
    vms: {
      ...c.vms,
      restore: async (file) => {
        begun++;
        for await (const bytes of file) void bytes;
        return c.vms.add(c.ada.user.id, { kind: 'cli', state: 'stopped' });
      },
    },
  });
  const line = `${JSON.stringify({ passphrase: 'correct horse battery' })}\n`;
  const upload = async (): Promise<{ asked: ClientRequest; answer: Promise<IncomingMessage> }> => {
    const headers = { ...auth(c.ada), 'content-type': 'application/octet-stream' };
    const asked = request(`${base}/api/vm/restore`, { method: 'POST', headers, agent: false });
    asked.on('error', () => undefined);
    const answer = once(asked, 'response').then(([response]) => response as IncomingMessage);
    asked.write(line);
    return { asked, answer };
  };
  const two = [await upload(), await upload()];
  await soon(() => expect(begun).toBe(2));
  const third = await upload();
  expect(await errorOf(await third.answer)).toMatchObject({ code: 'quota_exceeded', details: { quota: 'restores' } });
  third.asked.destroy();
  for (const { asked, answer } of two) {
    asked.end();
    expect((await answer).statusCode).toBe(201);
  }
  const last = await upload();
  last.asked.end();
  expect((await last.answer).statusCode).toBe(201);
  await server.close();
});
