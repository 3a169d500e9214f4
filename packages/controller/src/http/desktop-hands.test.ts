/** Paste, copy, size and the login's terminal over HTTP, with an agent whose answers the test gives. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { clipboardCharacters } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import type { VmRow } from '../vm/vm.js';
import { useTestController, type Person } from './testing/controller.js';

const c = useTestController();
const canary = 'CANARY-Ünï日本€😀';

let server: Server;
let client: JsonClient;
/** What the agent was asked, and what it says. */
let asked: { call: string; body: unknown }[];
let says: { status: number; text: string };

beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    request.once('end', () => {
      const body: unknown = text === '' ? undefined : JSON.parse(text);
      asked.push({ call: `${request.method} ${request.url}`, body });
      response.writeHead(says.status).end(says.text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  client = createJsonClient({ baseUrl: `http://127.0.0.1:${port}`, unreachable: 'guest_unreachable', name: 'a guest' });
});
afterAll(async () => {
  await client.close();
  server.close();
});

let row: VmRow;
let sessionId: string;
beforeEach(async () => {
  asked = [];
  says = { status: 200, text: JSON.stringify({ fetched: true }) };
  c.vms.desktopGuest = async () => client;
  const { json } = await c.call('POST', '/api/vm/auth', { token: c.ada.token, body: { provider: 'codex' } });
  sessionId = String(json.sessionId);
  row = c.vms.add(c.ada.user.id, { sessionId });
  c.sessions.change(sessionId, { browserVmId: row.id });
  c.sessions.activity.length = 0;
});

const paths = {
  paste: ['POST', () => `/api/vm/${row.id}/desktop/paste`, { text: canary }],
  type: ['POST', () => `/api/vm/${row.id}/desktop/type`, { text: canary }],
  size: ['POST', () => `/api/vm/${row.id}/desktop/size`, { width: 540, height: 844 }],
  copied: ['GET', () => `/api/vm/${row.id}/desktop/copied`, undefined],
  terminal: ['GET', () => `/api/vm/auth/${sessionId}/terminal`, undefined],
} as const;
type Hand = keyof typeof paths;
const hands = Object.keys(paths) as Hand[];

function use(hand: Hand, person: Person = c.ada) {
  const [method, path, body] = paths[hand];
  return c.call(method, path(), { token: person.token, ...(body && { body }) });
}
const codeOf = async (answer: ReturnType<typeof use>) => (await answer).json.error?.code;
const opened = async (person = c.ada) => {
  const { json } = await c.call('GET', '/api/audit?limit=500', { token: person.token });
  const records = json.records as { action: string; subject: string; details: object }[];
  return records.filter(({ action, subject }) => action === 'desktop_opened' && subject === row.id);
};

describe('the hands at a desktop', () => {
  test('paste a text, masked or not, as it is', async () => {
    expect((await use('paste')).json).toEqual({ fetched: true });
    const [method, path] = paths.paste;
    const secret = { text: 'line\nand\ttab', masked: true };
    says.text = JSON.stringify({ fetched: false });
    expect((await c.call(method, path(), { token: c.ada.token, body: secret })).json).toEqual({ fetched: false });
    expect(asked.map(({ call, body }) => [call, body])).toEqual([
      ['POST /desktop/paste', { text: canary, masked: false }],
      ['POST /desktop/paste', secret],
    ]);
  });

  test.each(['€', '\u0007', '\n'])('paste as much of %j as there may be', async (character) => {
    const body = { text: character.repeat(clipboardCharacters), masked: false };
    const [method, path] = paths.paste;
    expect((await c.call(method, path(), { token: c.ada.token, body })).status).toBe(200);
    expect(asked).toEqual([{ call: 'POST /desktop/paste', body }]);
  });

  test.each([
    ['nothing', ''],
    ['more than one paste takes', 'x'.repeat(clipboardCharacters + 1)],
  ])('do not paste %s', async (_what, text) => {
    const [method, path] = paths.paste;
    expect(await codeOf(c.call(method, path(), { token: c.ada.token, body: { text } }))).toBe('invalid_request');
    expect(asked).toEqual([]);
  });

  test('type a text, and pass it on to be typed alone', async () => {
    says = { status: 204, text: '' };
    expect((await use('type')).status).toBe(204);
    expect(asked).toEqual([{ call: 'POST /desktop/type', body: { text: canary } }]);
    const [method, path] = paths.type;
    for (const body of [{ text: '' }, { text: 'x'.repeat(4097) }, { text: 'x', masked: true }])
      expect(await codeOf(c.call(method, path(), { token: c.ada.token, body }))).toBe('invalid_request');
    expect(asked).toHaveLength(1);
  });

  test('give another size, within bounds', async () => {
    says = { status: 204, text: '' };
    expect((await use('size')).status).toBe(204);
    expect(asked).toMatchObject([{ call: 'POST /desktop/size', body: { width: 540, height: 844 } }]);
    for (const body of [{ width: 100_000, height: 800 }, { width: 1280 }, { width: 0, height: 0 }]) {
      const [method, path] = paths.size;
      expect(await codeOf(c.call(method, path(), { token: c.ada.token, body }))).toBe('invalid_request');
    }
  });

  test('copy out, and read the terminal of the login', async () => {
    says.text = JSON.stringify({ text: canary });
    expect((await use('copied')).json).toEqual({ text: canary });
    says.text = JSON.stringify({ text: null });
    expect((await use('copied')).json).toEqual({ text: null });
    const terminal = { columns: 80, lines: ['$ codex login', ''] };
    says.text = JSON.stringify(terminal);
    expect((await use('terminal')).json).toEqual(terminal);
  });

  test.each(hands)('%s is for who may see the desktop alone', async (hand) => {
    expect(await codeOf(use(hand, c.bob))).toBe('not_found');
    expect(await codeOf(use(hand, c.admin))).toBe(hand === 'terminal' ? 'not_found' : 'forbidden');
    expect((await c.call(paths[hand][0], paths[hand][1]())).status).toBe(401);
    c.vms.clear();
    const gone = c.vms.add(c.ada.user.id, { ...row, state: 'destroyed' });
    expect([gone.id, await codeOf(use(hand))]).toEqual([row.id, 'vm_not_running']);
    c.vms.add(c.ada.user.id, { ...row, kind: 'cli' });
    expect(await codeOf(use(hand))).toBe('desktop_not_ready');
    expect(asked).toEqual([]);
  });

  test('are in the audit once, however often a terminal is read, and each kind and person by itself', async () => {
    says.text = JSON.stringify({ columns: 80, lines: [] });
    for (const _again of [1, 2, 3]) await use('terminal');
    expect((await opened()).map(({ details }) => details)).toEqual([{ by: 'terminal' }]);
    says.text = JSON.stringify({ text: null });
    for (const _again of [1, 2]) await use('copied');
    expect(await opened()).toHaveLength(2);
  });

  test('copy out any script as it is, but for what would steer a terminal', async () => {
    says.text = JSON.stringify({ text: 'a\tb\n\u2067שלום\u2069 😀\u001b[31m\ud800' });
    expect((await use('copied')).json).toEqual({ text: 'a\tb\n\u2067שלום\u2069 😀\ufffd[31m\ufffd' });
  });

  test('find no terminal before there is a VM', async () => {
    c.sessions.change(sessionId, { browserVmId: null });
    expect(await codeOf(use('terminal'))).toBe('desktop_not_ready');
  });

  test('are told of a desktop that is too old for them', async () => {
    c.vms.desktopGuest = () => Promise.reject(new AppError('image_too_old', 'protocol 3', { hint: 'image build' }));
    for (const hand of hands) expect((await use(hand)).json.error).toMatchObject({ code: 'image_too_old' });
  });

  test('are the person’s activity where they touch something', async () => {
    await use('paste');
    says.text = JSON.stringify({ text: null });
    await use('copied');
    expect(c.sessions.activity).toEqual([sessionId, sessionId]);
    await use('size');
    await use('terminal');
    expect(c.sessions.activity).toHaveLength(2);
  });
});

describe('the audit of the hands at a desktop', () => {
  test.each(hands)('has %s of somebody who does not look at it, without a text', async (hand) => {
    await use(hand);
    const records = await opened();
    expect(records).toMatchObject([{ action: 'desktop_opened', details: { by: hand } }]);
    expect(JSON.stringify(records)).not.toContain('CANARY');
  });

  test('has the view of somebody who looks at it, and not each letter besides', async () => {
    const { json } = await c.call('POST', `/api/vm/${row.id}/desktop-ticket`, { token: c.ada.token });
    const socket = new WebSocket(new URL(String(json.path), c.url.replace('http', 'ws')), ['binary']);
    await once(socket, 'open');
    for (const hand of hands) await use(hand);
    expect(await opened()).toMatchObject([{ details: {} }]);
    socket.close();
    await once(socket, 'close');
    await vi.waitFor(async () => {
      await use('paste');
      expect(await opened()).toHaveLength(2);
    });
  });
});

describe('a guest that fails', () => {
  test.each([
    ['payload_too_large', 413, 'in parts'],
    ['invalid_request', 400, 'control character'],
  ])('to type a text (%s) is told with what to do, and not in its words', async (code, status, hint) => {
    says = { status, text: JSON.stringify({ error: { code, message: canary, hint: canary } }) };
    const { text: answer, json } = await use('type');
    expect(json.error).toMatchObject({ code, hint: expect.stringContaining(hint) as string });
    expect(answer).not.toContain('CANARY');
  });

  const error = { code: 'unauthenticated', message: `cannot paste ${canary}`, hint: canary, details: { text: canary } };
  test.each([
    ['with the text in its error', 500, JSON.stringify({ error })],
    ['with the text in something that is no JSON', 200, `${canary} is not JSON`],
    ['with the text in another form than agreed', 200, JSON.stringify({ [canary]: canary, fetched: canary })],
    ['with the text and a status that is none', 418, canary],
  ])('%s has it neither in an answer nor in the log nor in the audit', async (_how, status, text) => {
    says = { status, text };
    for (const hand of ['paste', 'copied', 'terminal'] as const) {
      const { text: answer, json } = await use(hand);
      expect(json.error?.code).toBe('guest_refused');
      expect(answer).not.toContain('CANARY');
    }
    expect(JSON.stringify(await opened())).not.toContain('CANARY');
    expect(c.logged()).not.toContain('CANARY');
  });

  test('is told by its own code where that says what to do', async () => {
    says = { status: 409, text: JSON.stringify({ error: { code: 'desktop_not_ready', message: 'x', hint: '' } }) };
    expect(await codeOf(use('paste'))).toBe('desktop_not_ready');
  });
});
