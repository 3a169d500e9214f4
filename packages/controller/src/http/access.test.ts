/** Who gets in, and how requests are refused. */
import { request as httpRequest } from 'node:http';
import { describe, expect, test } from 'vitest';
import { pageHeader } from '@airlock/contract/login';
import { ErrorResponse } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { useTestController, type TestController } from './testing/controller.js';
import { createTestCustodian } from './testing/stand-ins.js';

const c = useTestController();

const codeOf = async (answer: ReturnType<TestController['call']>): Promise<string> => {
  const { status, json } = await answer;
  const { error } = ErrorResponse.parse(json);
  return `${status} ${error.code}`;
};

describe('without a valid sign-in', () => {
  test.each([
    'GET /api/me',
    'GET /api/providers',
    'GET /api/vm',
    'GET /api/system',
    'POST /api/vm/auth',
    'GET /api/users',
  ])('%s is refused', async (route) => {
    const [method = '', path = ''] = route.split(' ');
    expect(await codeOf(c.call(method, path))).toBe('401 unauthenticated');
    expect(await codeOf(c.call(method, path, { token: 'x'.repeat(43) }))).toBe('401 unauthenticated');
    expect(await codeOf(c.call(method, path, { headers: { authorization: 'Basic eDp5' } }))).toBe(
      '401 unauthenticated',
    );
    expect(await codeOf(c.call(method, path, { headers: { cookie: 'airlock=none', origin: c.origin } }))).toBe(
      '401 unauthenticated',
    );
  });

  test('a wrong token is not excused by a good cookie', async () => {
    const headers = { ...(await c.browserOf(c.ada)), origin: c.origin };
    expect(await codeOf(c.call('GET', '/api/me', { headers, token: 'x'.repeat(43) }))).toBe('401 unauthenticated');
  });

  test('health, the API description and the start page are open', async () => {
    expect((await c.call('GET', '/healthz')).json).toEqual({ status: 'ok' });
    expect((await c.call('GET', '/api/openapi.json')).status).toBe(200);
    expect((await c.call('GET', '/')).headers.get('location')).toBe('/dashboard/');
  });
});

describe('administration', () => {
  test.each([
    ['GET', '/api/users', undefined],
    ['POST', '/api/users', { name: 'eve' }],
    ['GET', '/api/system', undefined],
    ['POST', '/api/system/stop-vms', undefined],
    ['POST', '/api/vm', { kind: 'browser' }],
    ['POST', '/api/vm/update', undefined],
  ])('%s %s is for administrators', async (method, path, body) => {
    expect(await codeOf(c.call(method, path, { token: c.ada.token, body }))).toBe('403 forbidden');
  });

  test('an administrator makes users and sees the system', async () => {
    const made = await c.call('POST', '/api/users', { token: c.admin.token, body: { name: 'carol' } });
    expect(made.status).toBe(201);
    const me = await c.call('GET', '/api/me', { token: made.json.token as string });
    expect(me.json).toEqual({ user: made.json.user });
    expect(await codeOf(c.call('POST', '/api/users', { token: c.admin.token, body: { name: 'carol' } }))).toBe(
      '409 user_exists',
    );
    c.vms.add(c.ada.user.id);
    const system = await c.call('GET', '/api/system', { token: c.admin.token });
    expect(system.json).toMatchObject({ vms: { running: 1, total: 1 }, accel: 'tcg', lostVmFolders: [] });
    expect((await c.call('POST', '/api/system/stop-vms', { token: c.admin.token })).status).toBe(204);
  });
});

describe('stopping and starting a CLI VM', () => {
  const verbs = [
    ['stop', 200, 'stopped'],
    ['start', 202, 'starting'],
    ['restart', 202, 'starting'],
  ] as const;

  test.each(verbs)('%s is for its owner and administrators, and answers the VM', async (verb, status, state) => {
    const { id } = c.vms.add(c.ada.user.id, { kind: 'cli' });
    const path = `/api/vm/${id}/${verb}`;
    expect(await codeOf(c.call('POST', path))).toBe('401 unauthenticated');
    expect(await codeOf(c.call('POST', path, { token: c.bob.token }))).toBe('404 not_found');
    const headers = { ...(await c.browserOf(c.ada)), origin: 'https://evil.example' };
    expect(await codeOf(c.call('POST', path, { headers }))).toBe('403 origin_refused');
    expect(await c.vms.get(id)).toMatchObject({ state: 'running' });
    for (const { token } of [c.ada, c.admin]) {
      const answer = await c.call('POST', path, { token });
      expect([answer.status, answer.json]).toMatchObject([status, { id, state, uses: 0 }]);
    }
  });

  test.each(verbs)('%s knows no other VM', async (verb) => {
    const { token } = c.ada;
    expect(await codeOf(c.call('POST', `/api/vm/${newId('vm')}/${verb}`, { token }))).toBe('404 not_found');
    expect(await codeOf(c.call('POST', `/api/vm/me/${verb}`, { token }))).toBe('400 invalid_request');
    expect(await codeOf(c.call('GET', `/api/vm/${newId('vm')}/${verb}`, { token }))).toBe('404 not_found');
  });

  test('how much uses it is told of a CLI VM alone', async () => {
    c.vms.usesOf = (userId) => (userId === c.ada.user.id ? 2 : 0);
    const states = [{ kind: 'cli' }, { kind: 'browser' }, { kind: 'cli', state: 'destroyed' }] as const;
    for (const values of states) c.vms.add(c.ada.user.id, values);
    c.vms.add(c.bob.user.id, { kind: 'cli' });
    const { json } = await c.call('GET', '/api/vm', { token: c.admin.token });
    expect((json.vms as { uses: number }[]).map(({ uses }) => uses)).toEqual([2, 0, 0, 0]);
    c.vms.usesOf = () => 0;
  });
});

describe('updating and resetting a CLI VM', () => {
  const kinds = ['update', 'reset'] as const;

  test.each(kinds)('%s is for its owner and administrators, and answers the VM', async (kind) => {
    const { id } = c.vms.add(c.ada.user.id, { kind: 'cli' });
    const path = `/api/vm/${id}/${kind}`;
    expect(await codeOf(c.call('POST', path))).toBe('401 unauthenticated');
    expect(await codeOf(c.call('POST', path, { token: c.bob.token }))).toBe('404 not_found');
    const headers = { ...(await c.browserOf(c.ada)), origin: 'https://evil.example' };
    expect(await codeOf(c.call('POST', path, { headers }))).toBe('403 origin_refused');
    expect(await c.vms.get(id)).toMatchObject({ rootUpdate: null });
    for (const { token } of [c.ada, c.admin]) {
      const answer = await c.call('POST', path, { token, body: {} });
      expect([answer.status, answer.json]).toMatchObject([202, { id, update: { kind, state: 'waiting' } }]);
    }
  });

  test.each(kinds)('%s waits until nobody uses the VM, unless it is told not to', async (kind) => {
    const { id } = c.vms.add(c.ada.user.id, { kind: 'cli' });
    const ask = (options: object) => c.call('POST', `/api/vm/${id}/${kind}`, { token: c.ada.token, ...options });
    const asked = [
      [{}, false],
      [{ body: {} }, false],
      [{ body: { now: true } }, true],
      [{ body: { now: false } }, false],
    ] as const;
    for (const [options, now] of asked) {
      expect((await ask(options)).status).toBe(202);
      expect((await c.vms.get(id))?.rootUpdate).toMatchObject({ kind, now });
    }
    for (const body of [{ now: 'yes' }, { now: true, kind: 'reset' }, [], 'now']) {
      expect(await codeOf(ask({ body }))).toBe('400 invalid_request');
    }
  });

  test.each(kinds)('%s knows no other VM', async (kind) => {
    const { token } = c.ada;
    expect(await codeOf(c.call('POST', `/api/vm/${newId('vm')}/${kind}`, { token }))).toBe('404 not_found');
    expect(await codeOf(c.call('POST', `/api/vm/me/${kind}`, { token }))).toBe('400 invalid_request');
  });

  test('one that failed is told with its image, its time and the reason', async () => {
    const error = { code: 'proof_failed', message: 'Codex says no.', hint: 'Sign in again.' } as const;
    const root = { number: 2, imageId: 'img_202601011200abcdef01' };
    const rootUpdate = {
      ...({ kind: 'reset', state: 'failed', now: true, run: true, broken: 0, since: 0, error } as const),
      ...{ from: { ...root, number: 1 }, to: root },
    };
    const { id } = c.vms.add(c.ada.user.id, { kind: 'cli', rootUpdate });
    const { json } = await c.call('GET', `/api/vm/${id}`, { token: c.ada.token });
    const { imageId } = root;
    expect(json.update).toEqual({ kind: 'reset', state: 'failed', imageId, since: '1970-01-01T00:00:00.000Z', error });
  });

  test('an administrator updates those that are behind, and is told which', async () => {
    const behind = { imageId: 'img_202601011200abcdef01', changes: [{ name: 'Codex', from: '1', to: '2' }] };
    const late = c.vms.add(c.ada.user.id, { kind: 'cli' });
    c.vms.add(c.bob.user.id, { kind: 'cli' });
    const lists: number[] = [];
    const { url: base, server } = await c.another({
      vms: {
        ...c.vms,
        updateAll: async () => [await c.vms.update(late.id, { kind: 'update', now: false })],
        behind: async (rows) => {
          lists.push(rows.length);
          return new Map([[late.id, behind]]);
        },
      },
    });
    const answer = await c.call('POST', '/api/vm/update', { base, token: c.admin.token });
    expect(answer.status).toBe(202);
    expect(answer.json.vms).toMatchObject([{ id: late.id, behind, update: { state: 'waiting', error: null } }]);
    const { json } = await c.call('GET', '/api/vm', { base, token: c.admin.token });
    expect((json.vms as object[]).map((vm) => 'behind' in vm && vm.behind)).toEqual([behind, null]);
    expect(lists).toEqual([1, 2]);
    await server.close();
  });
});

describe('foreign pages', () => {
  const cancel = `/api/vm/auth/${newId('ses')}/cancel`;

  test.each([
    ['no origin', undefined, '403 origin_refused'],
    ['another site', 'https://evil.example', '403 origin_refused'],
    ['a sandboxed page', 'null', '403 origin_refused'],
    ['its own page', 'own', '404 not_found'],
  ])('a change with the cookie from %s', async (_what, origin, expected) => {
    const headers: Record<string, string> = { ...(await c.browserOf(c.ada)) };
    if (origin !== undefined) headers.origin = origin === 'own' ? c.origin : origin;
    expect(await codeOf(c.call('POST', cancel, { headers }))).toBe(expected);
  });

  test('a program with a token needs no origin, and reading with a cookie neither', async () => {
    expect(await codeOf(c.call('POST', cancel, { token: c.ada.token }))).toBe('404 not_found');
    expect((await c.call('GET', '/api/me', { headers: await c.browserOf(c.ada) })).status).toBe(200);
  });

  test('another site cannot sign a browser in to an account of its choice', async () => {
    const { token } = await c.users.createLoginToken(c.bob.user.id);
    const headers = { origin: 'https://evil.example' };
    expect(await codeOf(c.call('POST', '/api/login', { headers, body: { token } }))).toBe('403 origin_refused');
  });

  test.each(['evil.example', 'evil.example:4000', '169.254.169.254'])('the name %s is refused', async (host) => {
    const { status, body } = await withHost(`${c.url}/healthz`, host);
    expect(status).toBe(403);
    expect(ErrorResponse.parse(JSON.parse(body)).error.code).toBe('origin_refused');
  });

  test('no other site may frame the pages or be called from them', async () => {
    const { headers } = await c.call('GET', '/healthz');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain(`connect-src 'self' ${c.url.replace('http', 'ws')};`);
    expect(policy).not.toContain('upgrade-insecure-requests');
    expect(headers.get('strict-transport-security')).toBeNull();
  });
});

describe('requests of a wrong form', () => {
  const post = (options: Parameters<TestController['call']>[2]) =>
    c.call('POST', '/api/vm/auth', { token: c.ada.token, ...options });

  test.each([
    ['not JSON', { rawBody: '{"provider":' }, '400 invalid_request'],
    ['nothing', { rawBody: '', headers: { 'content-type': 'application/json' } }, '400 invalid_request'],
    ['another type', { rawBody: 'codex', headers: { 'content-type': 'text/plain' } }, '415 unsupported_media_type'],
    [
      'a form',
      { rawBody: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      '415 unsupported_media_type',
    ],
    ['too much', { body: { provider: 'x'.repeat(70_000) } }, '413 payload_too_large'],
    ['a wrong member', { body: { provider: 7 } }, '400 invalid_request'],
    ['a member too many', { body: { provider: 'codex', admin: true } }, '400 invalid_request'],
    ['a prototype', { rawBody: '{"__proto__":{"provider":"codex"}}' }, '400 invalid_request'],
  ])('%s', async (_what, options, expected) => {
    expect(await codeOf(post(options))).toBe(expected);
  });

  test('the answer names the field', async () => {
    const { json } = await post({ body: { provider: '' } });
    expect(json.error?.message).toContain('provider');
  });

  test('unknown paths and ids that cannot be', async () => {
    const options = { token: c.ada.token };
    expect(await codeOf(c.call('GET', '/api/nothing', options))).toBe('404 not_found');
    expect(await codeOf(c.call('PUT', '/api/me', options))).toBe('404 not_found');
    expect(await codeOf(c.call('GET', '/api/vm/..%2f..%2fetc', options))).toBe('400 invalid_request');
    expect(await codeOf(c.call('GET', '/api/vm/%', options))).toBe('400 invalid_request');
  });

  test('a fault of the controller is logged, and tells the client only where to look', async () => {
    const { url: base, server } = await c.another({
      describeSystem: () => Promise.reject(new Error('CANARY: the inner reason')),
    });
    const answer = await c.call('GET', '/api/system', { base, token: c.admin.token });
    expect(answer.status).toBe(500);
    expect(answer.json.error?.code).toBe('internal');
    expect(answer.text).not.toContain('CANARY');
    const id = /request ([\w-]{36})/.exec(answer.json.error?.message ?? '')?.[1];
    expect(c.logged()).toMatch(new RegExp(`"reqId":"${id}".*CANARY: the inner reason`));
    await server.close();
  });

  test('an answer that breaks its own schema is a fault, and is not sent', async () => {
    const { url: base, server } = await c.another({
      custodian: { ...createTestCustodian([]), list: async () => [{ provider: 'codex', sealed: 'CANARY' } as never] },
    });
    const answer = await c.call('GET', '/api/credentials', { base, token: c.ada.token });
    expect(answer.json.error?.code).toBe('internal');
    expect(answer.text).not.toContain('CANARY');
    await server.close();
  });
});

test('the log holds every request and no secret of it', async () => {
  const headers = await c.browserOf(c.ada);
  const vm = c.vms.add(c.ada.user.id);
  await c.call('GET', `/api/vm/${vm.id}/desktop?ticket=CANARYCANARYCANARY`, { token: c.ada.token });
  await c.call('GET', '/api/me?password=CANARY', { headers });
  expect(c.logged()).toContain('"path":"/api/me"');
  for (const secret of ['CANARY', headers.cookie, headers[pageHeader], c.ada.token])
    expect(c.logged().replaceAll('CANARY: the', '')).not.toContain(secret);
});

test('too many requests are refused, for each user alone; health never', async () => {
  const { url: base, server } = await c.another({});
  const many = async (count: number, path: string, token: string): Promise<number[]> => {
    const statuses: number[] = [];
    for (let i = 0; i < count; i++) statuses.push((await c.call('GET', path, { base, token })).status);
    return statuses;
  };
  const statuses = (await Promise.all(Array.from({ length: 10 }, () => many(61, '/api/me', c.ada.token)))).flat();
  expect(statuses.filter((status) => status === 200)).toHaveLength(600);
  expect(statuses.filter((status) => status === 429)).toHaveLength(10);
  const refused = await c.call('GET', '/api/me', { base, token: c.ada.token });
  expect(refused.json.error?.code).toBe('rate_limited');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await many(1, '/api/me', c.bob.token)).toEqual([200]);
  expect(await many(5, '/healthz', '')).toEqual([200, 200, 200, 200, 200]);
  await server.close();
}, 60_000);

function withHost(url: string, host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { headers: { host } }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}
