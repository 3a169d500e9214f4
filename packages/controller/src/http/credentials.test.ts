/** Credentials and the vault through the API: who may, what is refused, and that no secret reaches a log or an answer. */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { keyProof } from '@airlock/contract/key-proof';
import { useTestController, type Person, type TestController } from './testing/controller.js';
import { exampleCredential } from './testing/stand-ins.js';

const c = useTestController();

const as = ({ token }: Person, body?: unknown) => ({ token, ...(body !== undefined && { body }) });
const codeOf = async (answer: ReturnType<TestController['call']>): Promise<string> => {
  const { status, json } = await answer;
  return `${status} ${json.error?.code ?? ''}`;
};
const passphrase = 'canary passphrase of this test';

test('a credential is checked and removed by id or alias', async () => {
  c.credentials.push(exampleCredential);
  expect((await c.call('POST', '/api/credentials/openai/check', as(c.ada))).json).toEqual(exampleCredential);
  expect((await c.call('DELETE', '/api/credentials/codex_cli', as(c.ada))).json).toEqual({ cliVm: 'pending' });
  expect(await codeOf(c.call('DELETE', '/api/credentials/codex', as(c.ada)))).toBe('404 not_found');
  expect(await codeOf(c.call('POST', '/api/credentials/nobody/check', as(c.ada)))).toBe('404 provider_unknown');
});

test('while a sign-in is under way, its credential is neither removed nor replaced', async () => {
  const session = await c.sessions.start(c.ada.user.id, 'codex');
  c.credentials.push(exampleCredential);
  const key = as(c.ada, { key: 'sk-canary-key-of-this-test' });
  expect(await codeOf(c.call('DELETE', '/api/credentials/codex', as(c.ada)))).toBe('409 session_busy');
  expect(await codeOf(c.call('PUT', '/api/credentials/codex/api-key', key))).toBe('409 session_busy');
  c.sessions.change(session.id, { status: 'failed' });
  expect((await c.call('DELETE', '/api/credentials/codex', as(c.ada))).status).toBe(200);
});

test('an API key is taken, and neither logged nor answered', async () => {
  const taken = await c.call('PUT', '/api/credentials/codex/api-key', as(c.ada, { key: 'sk-canary-key-of-this-test' }));
  expect([taken.status, taken.json]).toEqual([202, { provider: 'codex', generation: 2 }]);
  const bad = await c.call('PUT', '/api/credentials/codex/api-key', as(c.ada, { key: 'canary-that-is-no-key' }));
  expect(bad.status).toBe(400);
  const wrong = await c.call('PUT', '/api/credentials/codex/api-key', as(c.ada, { key: 'canary-key', more: 'canary' }));
  expect(wrong.status).toBe(400);
  const list = await c.call('GET', '/api/credentials', as(c.ada));
  expect(list.json).toMatchObject({ credentials: [{ state: 'staged', method: 'api_key' }] });
  expect(c.logged() + taken.text + bad.text + wrong.text + list.text).not.toContain('canary');
});

describe('the vault', () => {
  const backup = 'POST /api/vault/backup';
  const ask = (call: string, person: Person, body?: object) => {
    const [method = '', path = ''] = call.split(' ');
    return c.call(method, path, as(person, body));
  };

  test('is for administrators', async () => {
    for (const call of ['GET /api/vault', 'POST /api/vault/rotate', 'POST /api/vault/challenge']) {
      expect(await codeOf(ask(call, c.ada))).toBe('403 forbidden');
      expect((await ask(call, c.admin)).status).toBe(200);
    }
    expect(await codeOf(ask(backup, c.ada, { passphrase, keyProof: await c.proofFor(backup) }))).toBe('403 forbidden');
  });

  test.each([
    [backup, { passphrase }],
    ['POST /api/vault/restore', { passphrase, backup: 'x'.repeat(300_000) }],
  ] as const)('%s is for who can read the vault key, once for each proof', async (call, body) => {
    const refused = '403 key_proof_needed';
    expect(await codeOf(ask(call, c.admin, body))).toBe(refused);
    const { json } = await ask('POST /api/vault/challenge', c.admin);
    const nonce = String(json.nonce);
    const forged = [`${nonce}.`, `${nonce}.${'A'.repeat(43)}`, keyProof(randomBytes(32), nonce, call), 'x', '.'];
    for (const one of forged) expect(await codeOf(ask(call, c.admin, { ...body, keyProof: one }))).toBe(refused);
    const ofAnother = await c.proofFor('POST /api/vm/restore');
    expect(await codeOf(ask(call, c.admin, { ...body, keyProof: ofAnother }))).toBe(refused);
    const good = await c.proofFor(call);
    expect((await ask(call, c.admin, { ...body, keyProof: good })).status).toBe(200);
    expect(await codeOf(ask(call, c.admin, { ...body, keyProof: good }))).toBe(refused);
    expect((await c.audit.list({ userId: c.ada.user.id, limit: 1 }))[0]?.actorName).toBe('admin');
  });

  test('never logs a passphrase, and takes no long one', async () => {
    const short = await ask(backup, c.admin, { passphrase: 'canary' });
    expect([short.status, short.json.error?.code]).toEqual([400, 'invalid_request']);
    expect(c.logged() + short.text).not.toContain('canary');
    expect((await ask(backup, c.admin, { passphrase: 'x'.repeat(300_000) })).status).toBe(413);
  });
});
