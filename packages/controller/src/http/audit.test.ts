/** What callers do is noted before it is done, for whom it concerns; and who reads it. */
import { once } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { AuditList, type AuditAction } from '@airlock/contract/audit';
import { newId } from '@airlock/contract/ids';
import { useTestController, type Person } from './testing/controller.js';
import { exampleCredential } from './testing/stand-ins.js';

const c = useTestController();
let ada: Person;
let serial = 0;
/** The CLI VM of ada. */
let cli: string;
beforeEach(async () => {
  ada = await c.users.create(`ada${(serial += 1)}`);
  cli = c.vms.add(ada.user.id, { kind: 'cli' }).id;
});

const read = async (person: Person, query = '') =>
  AuditList.parse((await c.call('GET', `/api/audit${query}`, { token: person.token })).json);
const newest = async (person: Person) => (await read(person)).records[0];

interface Act {
  as: 'ada' | 'admin';
  call(): string;
  body?: object;
  action: AuditAction;
  details?: object;
}

const acts: Act[] = [
  { as: 'admin', call: () => `POST /api/vm/${cli}/stop`, action: 'vm_stopped' },
  { as: 'admin', call: () => `POST /api/vm/${cli}/start`, action: 'vm_started', details: { restart: false } },
  { as: 'ada', call: () => `POST /api/vm/${cli}/restart`, action: 'vm_started', details: { restart: true } },
  {
    as: 'admin',
    call: () => `POST /api/vm/${cli}/update`,
    body: {},
    action: 'vm_updated',
    details: { kind: 'update' },
  },
  { as: 'admin', call: () => `POST /api/vm/${cli}/reset`, body: {}, action: 'vm_updated', details: { kind: 'reset' } },
  { as: 'admin', call: () => `DELETE /api/vm/${cli}`, action: 'vm_destroyed', details: { kind: 'cli' } },
  { as: 'admin', call: () => 'POST /api/system/stop-vms', action: 'vm_stopped' },
  {
    ...{ as: 'ada', call: () => `POST /api/vm/${cli}/check`, body: { name: 'node' } },
    ...{ action: 'vm_check_run', details: { check: 'node' } },
  },
  {
    ...{ as: 'ada', call: () => 'PUT /api/credentials/codex/api-key', body: { key: 'sk-CANARY-of-this-test' } },
    ...{ action: 'credential_stored', details: { method: 'api_key' } },
  },
  { as: 'ada', call: () => 'DELETE /api/credentials/codex', action: 'credential_removed' },
  { as: 'admin', call: () => `POST /api/users/${ada.user.id}/disable`, action: 'user_disabled' },
  { as: 'admin', call: () => `POST /api/users/${ada.user.id}/enable`, action: 'user_enabled' },
  { as: 'admin', call: () => `DELETE /api/users/${ada.user.id}`, action: 'user_removed' },
  { as: 'admin', call: () => `POST /api/users/${ada.user.id}/rotate-token`, action: 'user_token_rotated' },
  { as: 'ada', call: () => 'DELETE /api/users/me/sign-ins', action: 'signed_out_everywhere' },
  { as: 'admin', call: () => 'POST /api/vault/rotate', action: 'vault_rotated' },
];

describe('what is noted', () => {
  test.each(acts)('$action by $as', async ({ as, call, body, action, details = {} }) => {
    if (action === 'credential_removed') c.credentials.push(exampleCredential);
    const [method = '', path = ''] = call().split(' ');
    const { token, user } = as === 'ada' ? ada : c.admin;
    const answer = await c.call(method, path, { token, body });
    expect(answer.status).toBeLessThan(300);
    const { records } = await read(c.admin, `?user=${ada.user.id}`);
    const mine = records.find((one) => one.action === action);
    expect(mine).toMatchObject({ actorId: user.id, actorName: user.name, via: 'token', details });
    expect(JSON.stringify(records)).not.toContain('CANARY');
  });

  test('by a browser is told so', async () => {
    const headers = { ...(await c.browserOf(ada)), origin: c.origin };
    await c.call('POST', `/api/vm/${cli}/stop`, { headers });
    expect(await newest(ada)).toMatchObject({ action: 'vm_stopped', via: 'cookie', actorName: ada.user.name });
  });

  test('is there although the act failed, and is what the act waits for', async () => {
    const order: string[] = [];
    const { url: base, server } = await c.another({
      vms: { ...c.vms, stop: async () => Promise.reject(new Error(order.join())) },
      audit: { ...c.audit, note: async (entry) => (await c.audit.note(entry), void order.push(entry.action)) },
    });
    expect((await c.call('POST', `/api/vm/${cli}/stop`, { base, token: c.admin.token })).status).toBe(500);
    expect(c.logged()).toContain('vm_stopped');
    expect(await newest(ada)).toMatchObject({ action: 'vm_stopped', actorName: 'admin' });
    await server.close();
  });

  test('what cannot be noted is not done', async () => {
    const { url: base, server } = await c.another({
      audit: { ...c.audit, note: () => Promise.reject(new Error('no room in the database')) },
    });
    expect((await c.call('DELETE', `/api/vm/${cli}`, { base, token: c.admin.token })).status).toBe(500);
    expect(await c.vms.get(cli)).toMatchObject({ state: 'running' });
    await server.close();
  });
});

test('a look into the VM of somebody else is noted, for them to see; into one’s own it is not', async () => {
  const look = (person: Person) => c.call('GET', `/api/vm/${cli}/health`, { token: person.token });
  await look(ada);
  expect((await newest(ada))?.action).not.toBe('vm_looked_into');
  await look(c.admin);
  expect(await newest(ada)).toMatchObject({ action: 'vm_looked_into', subject: cli, actorName: 'admin' });
});

test('of what is not there nothing is noted', async () => {
  const { records } = await read(c.admin);
  const nobody = `${ada.user.id.slice(0, -1)}${ada.user.id.endsWith('x') ? 'y' : 'x'}`;
  const [user, signIn, vm] = [`/api/users/${nobody}`, newId('sgn'), `/api/vm/${newId('vm')}`];
  const calls = [
    ...[`POST ${user}/disable`, `POST ${user}/enable`, `DELETE ${user}`, `POST ${user}/rotate-token`],
    ...[`DELETE ${user}/sign-ins`, `DELETE ${user}/sign-ins/${signIn}`, `DELETE /api/users/me/sign-ins/${signIn}`],
    ...[`DELETE /api/users/${ada.user.id}/sign-ins/${signIn}`, 'DELETE /api/credentials/codex'],
    ...[`POST ${vm}/stop`, `POST ${vm}/start`, `GET ${vm}/health`, `DELETE ${vm}`],
  ];
  for (const one of calls) {
    const [method = '', path = ''] = one.split(' ');
    expect(`${one} ${(await c.call(method, path, { token: c.admin.token })).json.error?.code}`).toBe(
      `${one} not_found`,
    );
  }
  expect((await read(c.admin)).records).toEqual(records);
});

test('what is made is noted with it: no VM for checks without a record', async () => {
  const failing = { ...c.audit, note: () => Promise.reject(new Error('no room in the database')) };
  const { url: base, server } = await c.another({ audit: failing });
  const body = { kind: 'browser', leaseMinutes: 5 };
  expect((await c.call('POST', '/api/vm', { base, token: c.admin.token, body })).status).toBe(500);
  await c.call('POST', '/api/vm', { token: c.admin.token, body });
  expect((await read(c.admin)).records[0]).toMatchObject({ action: 'vm_created', actorName: 'admin' });
  await server.close();
});

describe('who reads it', () => {
  test('a user sees what an administrator did for them, and nothing of others', async () => {
    await c.call('POST', `/api/vm/${cli}/stop`, { token: c.admin.token });
    const others = c.vms.add(c.bob.user.id, { kind: 'cli' }).id;
    await c.call('POST', `/api/vm/${others}/stop`, { token: c.admin.token });
    const { records } = await read(ada);
    expect(records[0]).toMatchObject({ action: 'vm_stopped', subject: cli, actorName: 'admin' });
    expect(records.filter(({ userId }) => userId !== null && userId !== ada.user.id)).toEqual([]);
    for (const wanted of [c.bob.user.id, c.bob.user.name]) {
      const { json } = await c.call('GET', `/api/audit?user=${wanted}`, { token: ada.token });
      expect(json.error?.code).toBe('forbidden');
    }
  });

  test('an administrator reads all, or of one user by name or id, also of one who is gone', async () => {
    await c.call('DELETE', `/api/users/${ada.user.id}`, { token: c.admin.token });
    const { records } = await read(c.admin, `?user=${ada.user.id}&limit=1`);
    expect(records).toMatchObject([{ action: 'user_removed', subject: ada.user.name }]);
    const byName = await c.call('GET', `/api/audit?user=${ada.user.name}`, { token: c.admin.token });
    expect(byName.json.error).toMatchObject({ code: 'not_found', hint: expect.stringContaining('by id') as string });
    expect((await read(c.admin)).records.length).toBeGreaterThan(1);
    expect((await c.call('GET', '/api/audit')).status).toBe(401);
  });

  test('page by page', async () => {
    for (let n = 0; n < 3; n++) await c.call('POST', `/api/vm/${cli}/stop`, { token: ada.token });
    const first = await read(ada, '?limit=2');
    expect([first.records.length, first.more]).toEqual([2, true]);
    const before = first.records.at(-1)?.id ?? 0;
    expect((await read(ada, `?before=${before}&limit=500`)).records.every(({ id }) => id < before)).toBe(true);
    const { status } = await c.call('GET', '/api/audit?limit=501', { token: ada.token });
    expect(status).toBe(400);
  });

  test('that a desktop was opened, by the one person who may, is among it', async () => {
    const { id } = c.vms.add(ada.user.id, { sessionId: newId('ses') });
    const asked = await c.call('POST', `/api/vm/${id}/desktop-ticket`, { token: c.admin.token });
    expect(asked.json.error?.code).toBe('forbidden');
    const { json } = await c.call('POST', `/api/vm/${id}/desktop-ticket`, { token: ada.token });
    const headers = { authorization: `Bearer ${ada.token}` };
    const socket = new WebSocket(new URL(String(json.path), c.url.replace('http', 'ws')), ['binary'], { headers });
    await once(socket, 'open');
    expect(await newest(ada)).toMatchObject({ action: 'desktop_opened', subject: id, actorId: ada.user.id });
    socket.terminate();
  });
});
