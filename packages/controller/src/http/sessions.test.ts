/** Sign-ins over HTTP: who sees which, and the stream of events. */
import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { newId } from '@airlock/contract/ids';
import { providerIds } from '@airlock/contract/provider/provider';
import { Session } from '@airlock/contract/session';
import { useTestController, type Person } from './testing/controller.js';
import { exampleCredential } from './testing/stand-ins.js';

const c = useTestController();

const as = (person: Person) => ({ token: person.token });
const start = async (person: Person, provider = 'codex') => {
  const { json } = await c.call('POST', '/api/vm/auth', { ...as(person), body: { provider } });
  return String(json.sessionId);
};

test('a start answers at once with the session', async () => {
  const before = Date.now();
  const answer = await c.call('POST', '/api/vm/auth', { ...as(c.ada), body: { provider: 'openai' } });
  expect(Date.now() - before).toBeLessThan(1000);
  expect(answer.status).toBe(202);
  expect(answer.json).toEqual({ sessionId: answer.json.sessionId, provider: 'codex', status: 'pending' });
  const busy = await c.call('POST', '/api/vm/auth', { ...as(c.ada), body: { provider: 'codex' } });
  expect([busy.status, busy.json.error?.code]).toEqual([409, 'session_busy']);
  expect((await c.call('POST', '/api/vm/auth', { ...as(c.bob), body: { provider: 'codex' } })).status).toBe(202);
});

test('a provider that nobody knows is named in the answer, with those that are known', async () => {
  const { status, json } = await c.call('POST', '/api/vm/auth', { ...as(c.ada), body: { provider: 'copilot' } });
  expect([status, json.error?.code]).toEqual([404, 'provider_unknown']);
  expect(json.error?.message).toContain('"copilot"');
  expect(json.error?.hint).toContain(providerIds.join(', '));
});

test('a session of somebody else looks like none, also to an administrator', async () => {
  const id = await start(c.ada);
  for (const person of [c.bob, c.admin]) {
    for (const [method, path] of [
      ['GET', `/api/vm/auth/${id}`],
      ['POST', `/api/vm/auth/${id}/cancel`],
      ['GET', `/api/vm/auth/${id}/events`],
    ] as const) {
      const answer = await c.call(method, path, as(person));
      expect([path, answer.status, answer.json.error?.code]).toEqual([path, 404, 'not_found']);
    }
    expect((await c.call('GET', '/api/vm/auth', as(person))).json).toEqual({ sessions: [] });
  }
  expect((await c.call('GET', `/api/vm/auth/${id}`, as(c.ada))).json).toMatchObject({ id, sessionId: id });
  expect((await c.call('GET', `/api/vm/auth/${newId('ses')}`, as(c.ada))).status).toBe(404);
});

test('cancelling ends it once', async () => {
  const id = await start(c.ada);
  const answer = await c.call('POST', `/api/vm/auth/${id}/cancel`, as(c.ada));
  expect(answer.json).toMatchObject({ id, status: 'cancelled' });
  const again = await c.call('POST', `/api/vm/auth/${id}/cancel`, as(c.ada));
  expect([again.status, again.json.error?.code]).toEqual([409, 'session_finished']);
});

test('the person helps a sign-in along: more time, another method, a pasted code', async () => {
  const id = await start(c.ada);
  const path = `/api/vm/auth/${id}`;
  const post = (what: string, person: Person, body?: unknown) =>
    c.call('POST', `${path}/${what}`, { ...as(person), ...(body !== undefined && { body }) });
  expect((await post('extend', c.ada)).json).toMatchObject({ id, expiresAt: expect.any(String) as string });
  expect((await post('fallback', c.ada, { method: 'device_code' })).json).toMatchObject({
    status: 'ready',
    login: { method: 'device_code', deviceCode: null, takesCode: false },
  });
  for (const body of [{}, { method: 'api_key' }, { method: 'browser', more: 1 }]) {
    expect((await post('fallback', c.ada, body)).json.error?.code).toBe('invalid_request');
  }
  expect((await post('code', c.ada, { code: 'CANARY-pasted' })).status).toBe(200);
  expect(c.sessions.codes).toEqual(['CANARY-pasted']);
  const refused = await post('code', c.ada, { code: `CANARY-${'x'.repeat(5000)}` });
  expect([refused.status, refused.text.includes('CANARY')]).toEqual([400, false]);
  expect(c.logged()).not.toContain('CANARY');
  for (const [what, body] of [['extend'], ['fallback', { method: 'browser' }], ['code', { code: 'x' }]] as const) {
    expect((await post(what, c.bob, body)).json.error?.code).toBe('not_found');
  }
});

test('the providers show what each is doing for this user', async () => {
  const id = await start(c.ada);
  const states = async (person: Person) => {
    const { json } = await c.call('GET', '/api/providers', as(person));
    return (json.providers as { id: string; state: string; available: boolean; sessionId: string | null }[]).map(
      (provider) => [provider.id, provider.state, provider.available, provider.sessionId],
    );
  };
  /** All providers as one who has done nothing sees them, but for Codex. */
  const withCodex = (state: string, sessionId: string | null) =>
    providerIds.map((id) => (id === 'codex' ? [id, state, true, sessionId] : [id, 'not_connected', true, null]));
  expect(await states(c.ada)).toEqual(withCodex('connecting', id));
  expect(await states(c.bob)).toEqual(withCodex('not_connected', null));
  c.credentials.push(exampleCredential);
  c.sessions.change(id, { status: 'completed' });
  expect(await states(c.ada)).toEqual(withCodex('connected', null));
  expect((await c.call('GET', '/api/credentials', as(c.ada))).json).toEqual({ credentials: c.credentials });
});

interface Follower {
  response: IncomingMessage;
  text(): string;
  events(): { id: string; session: Session }[];
}

/** Follows a session as an EventSource does. */
async function follow(id: string, headers: Record<string, string>, base = c.url): Promise<Follower> {
  const request = get(`${base}/api/vm/auth/${id}/events`, { headers, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  response.on('data', (chunk: Buffer) => (text += chunk.toString()));
  response.on('error', () => undefined);
  return {
    response,
    text: () => text,
    events: () =>
      [...text.matchAll(/^event: session\nid: (\d+)\ndata: (.*)\n\n/gm)].map(([, eventId = '', data = '']) => ({
        id: eventId,
        session: Session.parse(JSON.parse(data)),
      })),
  };
}
const bearer = (person: Person) => ({ authorization: `Bearer ${person.token}` });

test('events: the current state at once, each change in order, then the end', async () => {
  const id = await start(c.ada);
  c.sessions.change(id, { status: 'vm_created' });
  const stream = await follow(id, { ...(await c.browserOf(c.ada)) });
  expect(stream.response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  await vi.waitFor(() => expect(stream.events()).toHaveLength(1));
  for (const status of ['ready', 'awaiting_user_auth', 'authenticating', 'delivering'] as const) {
    c.sessions.change(id, { status });
  }
  // A late writer: an older revision than the one sent last.
  c.sessions.change(id, { status: 'ready', revision: 2 });
  c.sessions.change(id, { status: 'completed', revision: 7 });
  await once(stream.response, 'end');
  expect(stream.events().map((event) => [event.id, event.session.status])).toEqual([
    ['1', 'vm_created'],
    ['2', 'ready'],
    ['3', 'awaiting_user_auth'],
    ['4', 'authenticating'],
    ['5', 'delivering'],
    ['7', 'completed'],
  ]);
  expect(c.sessions.listeners(id)).toBe(0);
});

test('a session that has ended is told once; who knows it already is told not to come again', async () => {
  const id = await start(c.ada);
  c.sessions.change(id, { status: 'failed' });
  const stream = await follow(id, bearer(c.ada));
  await once(stream.response, 'end');
  expect(stream.events()).toHaveLength(1);
  const again = await follow(id, { ...bearer(c.ada), 'last-event-id': '1' });
  expect(again.response.statusCode).toBe(204);
  again.response.resume();
});

test('who leaves is forgotten', async () => {
  const id = await start(c.ada);
  const streams = await Promise.all([follow(id, bearer(c.ada)), follow(id, bearer(c.ada))]);
  await vi.waitFor(() => expect(c.sessions.listeners(id)).toBe(2));
  streams[0]?.response.destroy();
  await vi.waitFor(() => expect(c.sessions.listeners(id)).toBe(1));
  streams[1]?.response.destroy();
  await vi.waitFor(() => expect(c.sessions.listeners(id)).toBe(0));
});

test('a quiet stream is kept alive, and closing the server ends it', async () => {
  const { url, server } = await c.another({ heartbeatMs: 20 });
  const id = await start(c.ada);
  const stream = await follow(id, bearer(c.ada), url);
  await vi.waitFor(() => expect(stream.text().match(/^: still here$/gm)?.length).toBeGreaterThan(2));
  const ended = once(stream.response, 'close');
  await server.close();
  await ended;
  await vi.waitFor(() => expect(c.sessions.listeners(id)).toBe(0));
});
