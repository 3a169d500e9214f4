/** The pages, and the description of the API. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { useTestController } from './testing/controller.js';

const c = useTestController();
let folder: string;
let built: { base: string };
beforeAll(async () => {
  folder = join(c.home, 'built');
  await mkdir(join(folder, 'assets'), { recursive: true });
  await writeFile(join(folder, 'index.html'), '<title>Airlock</title>');
  await writeFile(join(folder, 'favicon.svg'), '<svg/>');
  await writeFile(join(folder, 'assets', 'index-abc123.js'), 'export {};');
  await writeFile(join(c.home, 'secret.txt'), 'CANARY');
  built = { base: (await c.another({ dashboardFolder: folder })).url };
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

test.each(['/dashboard/', '/dashboard/remote-cli', '/dashboard/remote-cli/auth?session=ses_1', '/dashboard/login'])(
  '%s is the page',
  async (path) => {
    const answer = await c.call('GET', path, built);
    expect([answer.status, answer.text]).toEqual([200, '<title>Airlock</title>']);
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/);
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
  },
);

test('assets are kept for ever, other files are asked for again, and what is missing is missing', async () => {
  const asset = await c.call('GET', '/dashboard/assets/index-abc123.js', built);
  expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(asset.headers.get('content-type')).toMatch(/javascript/);
  expect((await c.call('GET', '/dashboard/favicon.svg', built)).headers.get('content-type')).toMatch(/svg/);
  for (const path of ['/dashboard/assets/index-old.js', '/dashboard/missing.png']) {
    const missing = await c.call('GET', path, built);
    expect([missing.status, missing.json.error?.code]).toEqual([404, 'not_found']);
    expect(missing.headers.get('cache-control') ?? '').not.toContain('immutable');
  }
  expect((await c.call('GET', '/dashboard', built)).headers.get('location')).toBe('/dashboard/');
});

test.each(['/dashboard/..%2fsecret.txt', '/dashboard/assets/..%2f..%2fsecret.txt', '/dashboard/%2e%2e/secret.txt'])(
  '%s does not lead out of the folder',
  async (path) => {
    const answer = await c.call('GET', path, built);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.text).not.toContain('CANARY');
  },
);

test('without a built dashboard the page says what to do', async () => {
  const answer = await c.call('GET', '/dashboard/remote-cli');
  expect(answer.status).toBe(503);
  expect(answer.text).toContain('npm run build -w @airlock/dashboard');
});

test('the API description is complete and refers to nothing that it lacks', async () => {
  // As a second copy of the contract in the same process would name its own.
  z.strictObject({}).meta({ id: 'Error' });
  const { json: document } = await c.call('GET', '/api/openapi.json');
  expect(document.openapi).toBe('3.1.0');
  const text = JSON.stringify(document);
  const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name);
  const { schemas } = document.components as { schemas: Record<string, unknown> };
  expect([...new Set(references)].sort()).toEqual(Object.keys(schemas).sort());
  const paths = document.paths as Record<string, Record<string, { responses: Record<string, unknown> }>>;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => method !== 'head')
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(operations.sort()).toMatchInlineSnapshot(`
    [
      "DELETE /api/credentials/{provider}",
      "DELETE /api/users/{id}",
      "DELETE /api/users/{id}/sign-ins",
      "DELETE /api/users/{id}/sign-ins/{signIn}",
      "DELETE /api/vm/{id}",
      "GET /api/audit",
      "GET /api/credentials",
      "GET /api/me",
      "GET /api/providers",
      "GET /api/system",
      "GET /api/users",
      "GET /api/users/{id}/sign-ins",
      "GET /api/vault",
      "GET /api/vm",
      "GET /api/vm/auth",
      "GET /api/vm/auth/{id}",
      "GET /api/vm/auth/{id}/events",
      "GET /api/vm/auth/{id}/terminal",
      "GET /api/vm/{id}",
      "GET /api/vm/{id}/desktop/copied",
      "GET /api/vm/{id}/health",
      "GET /healthz",
      "POST /api/credentials/{provider}/check",
      "POST /api/login",
      "POST /api/login-tokens",
      "POST /api/login/account",
      "POST /api/logout",
      "POST /api/system/stop-vms",
      "POST /api/users",
      "POST /api/users/{id}/disable",
      "POST /api/users/{id}/enable",
      "POST /api/users/{id}/rotate-token",
      "POST /api/vault/backup",
      "POST /api/vault/challenge",
      "POST /api/vault/restore",
      "POST /api/vault/rotate",
      "POST /api/vm",
      "POST /api/vm/auth",
      "POST /api/vm/auth/{id}/cancel",
      "POST /api/vm/auth/{id}/code",
      "POST /api/vm/auth/{id}/extend",
      "POST /api/vm/auth/{id}/fallback",
      "POST /api/vm/restore",
      "POST /api/vm/update",
      "POST /api/vm/{id}/backup",
      "POST /api/vm/{id}/check",
      "POST /api/vm/{id}/cli/prompt",
      "POST /api/vm/{id}/desktop-ticket",
      "POST /api/vm/{id}/desktop/paste",
      "POST /api/vm/{id}/desktop/size",
      "POST /api/vm/{id}/desktop/type",
      "POST /api/vm/{id}/reset",
      "POST /api/vm/{id}/restart",
      "POST /api/vm/{id}/start",
      "POST /api/vm/{id}/stop",
      "POST /api/vm/{id}/update",
      "PUT /api/credentials/{provider}/api-key",
    ]
  `);
  for (const methods of Object.values(paths)) {
    for (const { responses } of Object.values(methods)) expect(Object.keys(responses)).toContain('4XX');
  }
});
