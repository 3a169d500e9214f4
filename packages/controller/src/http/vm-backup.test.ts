/** Homes as files over HTTP: who may, how the bytes go, and what an answer says of one that is no good. VMs with real homes; no VM runs. */
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Vm } from '@airlock/contract/api';
import { ErrorResponse } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser } from '../store/testing.js';
import { each, homeBytes, makeBackup, passphrase, useRealHomes, whole, type RealHomes } from '../vm/testing/homes.js';
import { openHome } from '../vm/backup/form.js';
import { useVms } from '../vm/testing.js';
import type { VmRow } from '../vm/vm.js';
import type { Server } from './deps.js';
import { useTestController, type Person } from './testing/controller.js';

const never = new AbortController().signal;
const c = useTestController();
const host = useVms({ AIRLOCK_CLI_UPDATE: 'manual' });
let homes: RealHomes;
let url: string;
let server: Server;

beforeEach(async () => {
  homes = await useRealHomes(host);
  for (const [n, { user }] of [c.ada, c.bob].entries()) {
    await addUser(host.database.store.db, user.id, `guest-${n}`, 10_010 + n);
  }
  ({ url, server } = await c.another({ vms: host.vms, uploadSilenceMs: 300 }));
});
afterEach(async () => {
  await server.close();
  // Whoever hangs up is no fault of the controller.
  if (c.logged().includes('request failed')) throw new Error(c.logged());
});

const made = ({ user }: Person = c.ada): Promise<VmRow> => host.vms.ensureCli(user.id, null, () => undefined, never);

/** Gives the VM a home that takes more than one piece to send. */
const fill = ({ id }: VmRow): Promise<void> =>
  homes.write(id, homeBytes, [{ at: 0, bytes: Buffer.alloc(homeBytes, 'not a hole') }]);

interface Sent {
  token?: string | undefined;
  type?: string;
}
/** A call whose body is sent by the test. */
function open(path: string, { token, type = 'application/octet-stream' }: Sent): ClientRequest {
  return httpRequest(new URL(path, url), {
    method: 'POST',
    headers: { 'content-type': type, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
  });
}

async function answerOf(call: ClientRequest): Promise<{ status: number; body: Buffer; type: string | undefined }> {
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const body = await whole(response);
  return { status: response.statusCode ?? 0, body, type: response.headers['content-type'] };
}

async function send(path: string, body: string | Buffer, sent: Sent): Promise<Awaited<ReturnType<typeof answerOf>>> {
  const call = open(path, sent);
  call.end(body);
  return answerOf(call);
}

const codeOf = ({ status, body }: { status: number; body: Buffer }): string =>
  `${status} ${ErrorResponse.parse(JSON.parse(body.toString())).error.code}`;
const backup = ({ id }: Pick<VmRow, 'id'>, token: string | undefined, more: object = {}) =>
  send(`/api/vm/${id}/backup`, JSON.stringify({ passphrase, ...more }), { token, type: 'application/json' });
const upload = (file: Buffer, more: object = {}): Buffer =>
  Buffer.concat([Buffer.from(`${JSON.stringify({ passphrase, ...more })}\n`), file]);
const restore = (file: Buffer, { token }: Person, more: object = {}) =>
  send('/api/vm/restore', upload(file, more), { token });

describe('a backup', () => {
  test.each(['ada', 'admin'] as const)(
    'is for the owner, and for administrators who can read the vault key: %s',
    async (who) => {
      const vm = await made();
      const call = `POST /api/vm/${vm.id}/backup`;
      const proof = who === 'ada' ? {} : { keyProof: await c.proofFor(call) };
      if (who === 'admin') {
        expect(codeOf(await backup(vm, c.admin.token))).toBe('403 key_proof_needed');
        const ofAnother = { keyProof: await c.proofFor('POST /api/vault/backup') };
        expect(codeOf(await backup(vm, c.admin.token, ofAnother))).toBe('403 key_proof_needed');
      }
      const { status, type, body } = await backup(vm, c[who].token, proof);
      const [noted] = await c.audit.list({ userId: c.ada.user.id, limit: 1 });
      expect(noted).toMatchObject({ action: 'home_backed_up', actorName: who, subject: vm.id });
      expect([status, type]).toEqual([200, 'application/octet-stream']);
      const { about } = await openHome(passphrase, each([body]));
      expect(about).toMatchObject({ vmId: vm.id, user: 'ada', sizeBytes: homeBytes });
    },
  );

  test('is for nobody else, and of nothing else', async () => {
    const vm = await made();
    expect(codeOf(await backup(vm, undefined))).toBe('401 unauthenticated');
    expect(codeOf(await backup(vm, c.bob.token))).toBe('404 not_found');
    expect(codeOf(await backup({ id: newId('vm') }, c.ada.token))).toBe('404 not_found');
    const headers = { ...(await c.browserOf(c.ada)), origin: 'https://evil.example' };
    const foreign = await c.call('POST', `/api/vm/${vm.id}/backup`, { base: url, headers, body: { passphrase } });
    expect(foreign.json.error?.code).toBe('origin_refused');
    for (const more of [{ passphrase: 'short' }, { passphrase: undefined }, { now: 'yes' }, { more: 1 }]) {
      expect(codeOf(await backup(vm, c.ada.token, more))).toBe('400 invalid_request');
    }
    expect(await host.vms.get(vm.id)).toEqual(vm);
  });

  test('of a VM in use is refused, unless it is told to end that', async () => {
    const vm = await made();
    const using = await host.vms.useCli(c.ada.user.id, () => undefined, never);
    expect(codeOf(await backup(vm, c.ada.token))).toBe('409 vm_in_use');
    expect((await backup(vm, c.ada.token, { now: true })).status).toBe(200);
    await using.release();
  });

  test('whose reader hangs up lets the VM go', async () => {
    const vm = await made();
    await fill(vm);
    const call = open(`/api/vm/${vm.id}/backup`, { token: c.ada.token, type: 'application/json' });
    call.end(JSON.stringify({ passphrase }));
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    response.once('error', () => undefined);
    await once(response, 'readable');
    expect(await host.vms.get(vm.id)).toMatchObject({ state: 'stopped' });
    response.destroy();
    await expect.poll(async () => (await host.vms.get(vm.id))?.state, { timeout: 20_000 }).toBe('running');
  });

  test('whose reader is gone before it begins lets the VM go', async () => {
    const vm = await made();
    let stopped = (): void => undefined;
    host.engine.stopGate = () => new Promise<void>((resolve) => (stopped = resolve));
    const call = open(`/api/vm/${vm.id}/backup`, { token: c.ada.token, type: 'application/json' });
    call.once('error', () => undefined);
    call.end(JSON.stringify({ passphrase }));
    await expect.poll(async () => (await host.vms.get(vm.id))?.state, { timeout: 20_000 }).toBe('stopping');
    call.destroy();
    host.engine.stopGate = undefined;
    stopped();
    await expect.poll(async () => (await host.vms.get(vm.id))?.state, { timeout: 20_000 }).toBe('running');
  });

  test('that breaks off is seen to be cut', async () => {
    const vm = await made();
    await fill(vm);
    const call = open(`/api/vm/${vm.id}/backup`, { token: c.ada.token, type: 'application/json' });
    call.end(JSON.stringify({ passphrase }));
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    await once(response, 'readable');
    await host.vms.destroy(vm.id);
    await expect(whole(response)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('a restore', () => {
  test('gives the caller a new CLI VM, whoever the backup names', async () => {
    const { file, homeKey } = await makeBackup();
    const { status, body } = await restore(file, c.bob);
    const vm = Vm.parse({ ...JSON.parse(body.toString()), imageId: 'img_202601011200abcdef01' });
    expect([status, vm]).toMatchObject([201, { userId: c.bob.user.id, kind: 'cli', state: 'stopped' }]);
    expect(host.homeKeys.held.get(vm.id)).toBe(homeKey);
    expect(codeOf(await restore(file, c.bob))).toBe('409 vm_exists');
    expect(JSON.parse((await restore(file, c.bob, { replace: true })).body.toString())).toMatchObject({
      state: 'stopped',
    });
  });

  test('is for others by administrators who can read the vault key: by the name in the backup, or by one that they give', async () => {
    const { file } = await makeBackup();
    expect(codeOf(await restore(file, c.bob, { user: 'ada' }))).toBe('403 forbidden');
    const own = await restore(file, c.bob, { user: 'bob', replace: true });
    const proof = async () => ({ keyProof: await c.proofFor('POST /api/vm/restore') });
    for (const more of [{}, { user: 'ada' }, { user: 'bob', replace: true }]) {
      expect(codeOf(await restore(file, c.admin, more))).toBe('403 key_proof_needed');
    }
    const named = await restore(file, c.admin, await proof());
    const given = await restore(file, c.admin, { user: 'bob', replace: true, ...(await proof()) });
    expect(codeOf(await restore(file, c.admin, { user: 'nobody', ...(await proof()) }))).toBe('404 not_found');
    const [noted] = await c.audit.list({ userId: c.bob.user.id, limit: 1 });
    expect(noted).toMatchObject({ action: 'home_restored', actorName: 'admin', details: { replace: true } });
    const owners = [own, named, given].map(({ body }) => (JSON.parse(body.toString()) as Vm).userId);
    expect(owners).toEqual([c.bob.user.id, c.ada.user.id, c.bob.user.id]);
  });

  test('is for nobody who is not signed in, nor for a page of others', async () => {
    const { file } = await makeBackup();
    expect(codeOf(await send('/api/vm/restore', upload(file), {}))).toBe('401 unauthenticated');
    const headers = { ...(await c.browserOf(c.ada)), origin: 'https://evil.example' };
    const type = { 'content-type': 'application/octet-stream' };
    const foreign = await c.call('POST', '/api/vm/restore', {
      base: url,
      headers: { ...headers, ...type },
      rawBody: 'x',
    });
    expect(foreign.json.error?.code).toBe('origin_refused');
  });

  test.each([
    ['another passphrase', { passphrase: 'another passphrase' }, (file: Buffer) => file],
    ['a file that was cut', {}, (file: Buffer) => file.subarray(0, -1)],
    ['a backup of the vault', {}, () => Buffer.from('eyJhbGciOiJQQkVTMi1IUzUxMitBMjU2S1ci.a.b.c.d\n')],
    ['nothing', {}, () => Buffer.alloc(0)],
  ])('of %s is refused', async (_what, more, spoil) => {
    const { file } = await makeBackup();
    expect(codeOf(await restore(spoil(file), c.ada, more))).toBe('400 backup_invalid');
    expect(await host.vms.list(null)).toEqual([]);
  });

  test('begins with a line that is as it should be, and is never quoted', async () => {
    const { file } = await makeBackup();
    const secret = 'short-canary';
    for (const line of [
      { passphrase: secret.slice(0, 8) },
      { passphrase: [secret] },
      { passphrase: secret, replace: secret },
      { passphrase: secret, user: `${secret}!` },
      { [secret]: 1 },
    ]) {
      const answer = await send(
        '/api/vm/restore',
        Buffer.concat([Buffer.from(`${JSON.stringify(line)}\n`), file]),
        c.ada,
      );
      expect(codeOf(answer)).toBe('400 invalid_request');
      expect(answer.body.toString()).not.toContain('canary');
    }
    for (const body of ['', 'no line', `${'x'.repeat(100_000)}\n`, 'no JSON\n']) {
      expect(codeOf(await send('/api/vm/restore', body, c.ada))).toBe('400 invalid_request');
    }
    expect(c.logged()).not.toContain('canary');
    expect(c.logged()).not.toContain(passphrase);
  });

  test('is not taken as anything but bytes', async () => {
    for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x']) {
      const answer = await send('/api/vm/restore', '{}', { token: c.ada.token, type });
      expect(codeOf(answer)).toBe('415 unsupported_media_type');
      expect(answer.body.toString()).toContain('application/octet-stream');
    }
    const { status, json } = await c.call('POST', `/api/vm/${newId('vm')}/stop`, {
      ...{ base: url, token: c.ada.token, rawBody: 'x' },
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect([status, json.error?.code]).toEqual([415, 'unsupported_media_type']);
  });

  test('that is refused is answered while it is still being sent', async () => {
    await made();
    const { file } = await makeBackup([{ at: 0, bytes: Buffer.alloc(8 * 1024 * 1024, 1) }]);
    const call = open('/api/vm/restore', c.ada);
    const answer = answerOf(call);
    call.write(upload(file.subarray(0, 4 * 1024 * 1024)));
    expect(codeOf(await answer)).toBe('409 vm_exists');
    call.destroy();
  });

  test.each(['hangs up', 'falls silent'])('whose sender %s leaves nothing', async (how) => {
    const vm = await made();
    const { file } = await makeBackup([{ at: 0, bytes: Buffer.alloc(8 * 1024 * 1024, 1) }]);
    const call = open('/api/vm/restore', c.ada);
    call.once('error', () => undefined);
    call.write(upload(file.subarray(0, 4 * 1024 * 1024), { replace: true }));
    const lost = (): Promise<string[]> => host.engine.lost(new Set([vm.id]));
    await expect.poll(lost, { timeout: 20_000 }).toHaveLength(1);
    if (how === 'hangs up') call.destroy();
    await expect.poll(lost, { timeout: 20_000 }).toEqual([]);
    expect(await host.vms.get(vm.id)).toEqual(vm);
    call.destroy();
  });
});
