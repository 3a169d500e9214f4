/** VMs over HTTP, and the way of a viewer to a desktop. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { DesktopTicket } from '@airlock/contract/api';
import { ErrorResponse } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { useTestController, type Person, type TestController } from './testing/controller.js';

const c = useTestController();

const as = (person: Person) => ({ token: person.token });
const codeOf = async (answer: ReturnType<TestController['call']>) => (await answer).json.error?.code;

describe('VMs', () => {
  test('everybody sees their own; an administrator sees all', async () => {
    const mine = c.vms.add(c.ada.user.id);
    c.vms.add(c.bob.user.id, { kind: 'cli', state: 'stopped' });
    const ids = async (person: Person) => {
      const { json } = await c.call('GET', '/api/vm', as(person));
      return (json.vms as { id: string }[]).map(({ id }) => id);
    };
    expect(await ids(c.ada)).toEqual([mine.id]);
    expect(await ids(c.admin)).toHaveLength(2);
    expect((await c.call('GET', `/api/vm/${mine.id}`, as(c.ada))).json).toMatchObject({ id: mine.id, kind: 'browser' });
    for (const path of ['', '/health']) {
      expect(await codeOf(c.call('GET', `/api/vm/${mine.id}${path}`, as(c.bob)))).toBe('not_found');
    }
    expect(await codeOf(c.call('DELETE', `/api/vm/${mine.id}`, as(c.bob)))).toBe('not_found');
    expect(await codeOf(c.call('GET', `/api/vm/${mine.id}/health`, as(c.ada)))).toBe('vm_not_running');
  });

  test('a VM of its own is made for a limited time', async () => {
    const before = Date.now();
    const { status, json } = await c.call('POST', '/api/vm', {
      ...as(c.admin),
      body: { kind: 'browser', leaseMinutes: 3 },
    });
    expect(status).toBe(202);
    expect(json).toMatchObject({ userId: c.admin.user.id, sessionId: null });
    expect(Math.round((Date.parse(String(json.destroyAt)) - before) / 60_000)).toBe(3);
    const wrong = { kind: 'browser', leaseMinutes: 100_000 };
    expect(await codeOf(c.call('POST', '/api/vm', { ...as(c.admin), body: wrong }))).toBe('invalid_request');
  });

  test('checks run for the owner alone, in CLI VMs and in VMs of their own, never where a person signs in', async () => {
    const check = (id: string, person = c.ada, name = 'node') =>
      c.call('POST', `/api/vm/${id}/check`, { ...as(person), body: { name } });
    const cli = c.vms.add(c.ada.user.id, { kind: 'cli', sessionId: newId('ses') });
    const free = c.vms.add(c.ada.user.id);
    const signIn = c.vms.add(c.ada.user.id, { sessionId: newId('ses') });
    c.vms.checks.length = 0;
    expect((await check(cli.id)).json).toMatchObject({ name: 'node', ok: true });
    expect((await check(free.id)).status).toBe(200);
    expect(await codeOf(check(signIn.id))).toBe('forbidden');
    for (const { id } of [signIn, cli, free]) expect(await codeOf(check(id, c.admin))).toBe('forbidden');
    expect(await codeOf(check(cli.id, c.bob))).toBe('not_found');
    expect(await codeOf(check(cli.id, c.ada, 'rm -rf /'))).toBe('invalid_request');
    expect(c.vms.checks).toEqual(['node', 'node']);
  });

  test('a VM is destroyed by its owner, but not under a sign-in that is under way', async () => {
    const { json } = await c.call('POST', '/api/vm/auth', { ...as(c.ada), body: { provider: 'codex' } });
    const sessionId = String(json.sessionId);
    const vm = c.vms.add(c.ada.user.id, { sessionId });
    const refused = await c.call('DELETE', `/api/vm/${vm.id}`, as(c.ada));
    expect([refused.status, refused.json.error?.code]).toEqual([403, 'forbidden']);
    expect(refused.json.error?.hint).toContain(`/api/vm/auth/${sessionId}/cancel`);
    c.sessions.change(sessionId, { status: 'completed' });
    expect((await c.call('DELETE', `/api/vm/${vm.id}`, as(c.ada))).status).toBe(204);
    expect(await codeOf(c.call('GET', `/api/vm/${vm.id}`, as(c.ada)))).toBe('not_found');
  });
});

const ticketFor = async (vmId: string, person: Person = c.ada): Promise<string> =>
  DesktopTicket.parse((await c.call('POST', `/api/vm/${vmId}/desktop-ticket`, as(person))).json).path;

interface Viewer {
  socket: WebSocket;
  received(): Buffer;
  closed: Promise<{ code: number; reason: string }>;
}

/** Connects as a viewer; rejects with the error code of the answer when there is no upgrade. */
function view(
  path: string,
  headers: Record<string, string> = { authorization: `Bearer ${c.ada.token}` },
  base = c.url,
): Promise<Viewer> {
  const socket = new WebSocket(new URL(path, base.replace('http', 'ws')), ['binary'], { headers });
  const chunks: Buffer[] = [];
  socket.on('message', (data: Buffer) => chunks.push(data));
  const closed = once(socket, 'close').then(([code, reason]) => ({ code: Number(code), reason: String(reason) }));
  closed.catch(() => undefined);
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve({ socket, received: () => Buffer.concat(chunks), closed }));
    socket.once('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => reject(new Error(ErrorResponse.parse(JSON.parse(body)).error.code)));
    });
    socket.on('error', reject);
  });
}

describe('a ticket', () => {
  test('is given to the owner of a VM that has a desktop', async () => {
    const ask = (id: string, person: Person) => codeOf(c.call('POST', `/api/vm/${id}/desktop-ticket`, as(person)));
    const signIn = c.vms.add(c.ada.user.id, { sessionId: newId('ses') });
    expect(await ask(signIn.id, c.ada)).toBeUndefined();
    expect(await ask(signIn.id, c.bob)).toBe('not_found');
    expect(await ask(signIn.id, c.admin)).toBe('forbidden');
    expect(await ask(c.vms.add(c.ada.user.id).id, c.admin)).toBeUndefined();
    expect(await ask(c.vms.add(c.ada.user.id, { kind: 'cli' }).id, c.ada)).toBe('desktop_not_ready');
    expect(await ask(c.vms.add(c.ada.user.id, { state: 'destroyed' }).id, c.ada)).toBe('vm_not_running');
  });

  test('opens the desktop once, of its VM, to its user', async () => {
    const vm = c.vms.add(c.ada.user.id);
    const other = c.vms.add(c.ada.user.id);
    const path = await ticketFor(vm.id);
    const viewer = await view(path);
    expect(viewer.socket.protocol).toBe('binary');
    viewer.socket.close();
    await viewer.closed;
    await expect(view(path)).rejects.toThrow('ticket_invalid');
    await expect(view((await ticketFor(vm.id)).replace(vm.id, other.id))).rejects.toThrow('ticket_invalid');
    await expect(view(`/api/vm/${vm.id}/desktop?ticket=${'x'.repeat(43)}`)).rejects.toThrow('ticket_invalid');
    await expect(view(`/api/vm/${vm.id}/desktop`)).rejects.toThrow('invalid_request');
  });

  test('is all that opens a desktop, and as its user', async () => {
    const vm = c.vms.add(c.ada.user.id, { sessionId: newId('ses') });
    const viewer = await view(await ticketFor(vm.id), {});
    viewer.socket.close();
    await viewer.closed;
    const ada = { ...(await c.browserOf(c.ada)), origin: c.origin, authorization: `Bearer ${c.ada.token}` };
    await expect(view(`/api/vm/${vm.id}/desktop?ticket=${'x'.repeat(43)}`, ada)).rejects.toThrow('ticket_invalid');
    const path = async ({ user }: Person) => {
      const { ticket } = await c.users.createDesktopTicket(user.id, vm.id, null);
      return `/api/vm/${vm.id}/desktop?ticket=${ticket}`;
    };
    await expect(view(await path(c.bob), ada)).rejects.toThrow('not_found');
    await expect(view(await path(c.admin), ada)).rejects.toThrow('forbidden');
  });

  test('is given to no cookie without its page secret', async () => {
    const vm = c.vms.add(c.ada.user.id);
    const { cookie } = await c.browserOf(c.ada);
    const headers = { cookie, origin: c.origin };
    expect(await codeOf(c.call('POST', `/api/vm/${vm.id}/desktop-ticket`, { headers }))).toBe('unauthenticated');
  });

  test('opens the same desktop in a second browser of the same person, beside the first', async () => {
    const vm = c.vms.add(c.ada.user.id, { sessionId: newId('ses') });
    const viewers = [];
    for (let i = 0; i < 2; i++) {
      const headers = { ...(await c.browserOf(c.ada)), origin: c.origin };
      viewers.push(await view(await ticketFor(vm.id), headers));
    }
    expect(c.vms.desktops.size).toBe(2);
    for (const viewer of viewers) {
      await vi.waitFor(() => expect(viewer.received().toString()).toBe('RFB 003.008\n'));
      viewer.socket.close();
      await viewer.closed;
    }
    await vi.waitFor(() => expect(c.vms.desktops.size).toBe(0));
  });

  test('does not replace the origin', async () => {
    const vm = c.vms.add(c.ada.user.id);
    const ada = await c.browserOf(c.ada);
    for (const origin of ['https://evil.example', 'http://127.0.0.1:1', 'null']) {
      await expect(view(await ticketFor(vm.id), { ...ada, origin })).rejects.toThrow('origin_refused');
    }
    const viewer = await view(await ticketFor(vm.id), { ...ada, origin: c.origin });
    viewer.socket.close();
    await viewer.closed;
  });

  test('is nothing without an upgrade', async () => {
    const vm = c.vms.add(c.ada.user.id);
    expect(await codeOf(c.call('GET', await ticketFor(vm.id), as(c.ada)))).toBe('invalid_request');
  });
});

describe('the tunnel', () => {
  const open = async () => view(await ticketFor(c.vms.add(c.ada.user.id).id));

  test('carries bytes both ways, unchanged', async () => {
    const viewer = await open();
    await vi.waitFor(() => expect(viewer.received().toString()).toBe('RFB 003.008\n'));
    const sent = Array.from({ length: 50 }, (_, i) => randomBytes(1 + i * 4000));
    for (const chunk of sent) viewer.socket.send(chunk);
    const all = Buffer.concat(sent);
    await vi.waitFor(() => expect(viewer.received().length).toBe(12 + all.length), { timeout: 10_000 });
    const hash = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
    expect(hash(viewer.received().subarray(12))).toBe(hash(all));
    viewer.socket.close();
    await viewer.closed;
    await vi.waitFor(() => expect(c.vms.desktops.size).toBe(0));
  });

  test('tells the session of the hands at the desktop, not of the eyes', async () => {
    const sessionId = newId('ses');
    const viewer = await view(await ticketFor(c.vms.add(c.ada.user.id, { sessionId }).id));
    c.sessions.activity.length = 0;
    const updateRequest = Buffer.from([3, 1, 0, 0, 0, 0, 5, 0, 3, 32]);
    const key = Buffer.from([4, 1, 0, 0, 0, 0, 0, 97]);
    const pointer = Buffer.from([5, 1, 0, 9, 0, 9]);
    for (const message of [Buffer.from('RFB 003.008\n'), Buffer.from([1]), updateRequest]) viewer.socket.send(message);
    await vi.waitFor(() => expect(viewer.received().length).toBe(12 + 12 + 1 + 10));
    expect(c.sessions.activity).toEqual([]);
    for (const message of [key, updateRequest, pointer]) viewer.socket.send(message);
    await vi.waitFor(() => expect(c.sessions.activity).toEqual([sessionId, sessionId]));
    viewer.socket.close();
    await viewer.closed;
    const own = await open();
    own.socket.send(key);
    await vi.waitFor(() => expect(own.received().length).toBe(12 + key.length));
    expect(c.sessions.activity).toHaveLength(2);
    own.socket.close();
    await own.closed;
  });

  test('says why it ends', async () => {
    const ended = await open();
    c.desktop.connections.at(-1)?.end();
    expect(await ended.closed).toEqual({ code: 1000, reason: 'the desktop has ended' });
    const broken = await open();
    [...c.vms.desktops].at(-1)?.destroy(new Error('gone'));
    expect((await broken.closed).code).toBe(1011);
    const text = await open();
    text.socket.send('text');
    expect((await text.closed).code).toBe(1003);
    const large = await open();
    large.socket.send(Buffer.alloc(1024 * 1024 + 1));
    expect((await large.closed).code).toBe(1009);
    await vi.waitFor(() => expect(c.vms.desktops.size).toBe(0));
  });

  test('gives a viewer of a still screen signs of life, as long as there is one', async () => {
    const { url } = await c.another({ heartbeatMs: 20 });
    const viewer = await view(await ticketFor(c.vms.add(c.ada.user.id).id), undefined, url);
    for (let pings = 0; pings < 2; pings += 1) await once(viewer.socket, 'ping');
    await vi.waitFor(() => expect(viewer.received().toString()).toBe('RFB 003.008\n'));
    viewer.socket.close();
    expect((await viewer.closed).code).toBe(1005);
  });

  test('ends with the server, also when the viewer does not answer', async () => {
    const { url, server } = await c.another({});
    const vm = c.vms.add(c.ada.user.id);
    const polite = await view(await ticketFor(vm.id), undefined, url);
    const stuck = await view(await ticketFor(vm.id), undefined, url);
    stuck.socket.pause();
    const start = Date.now();
    await server.close();
    expect(Date.now() - start).toBeLessThan(3_000);
    expect(await polite.closed).toEqual({ code: 1001, reason: 'the controller is shutting down' });
    stuck.socket.resume();
    await stuck.closed;
    await vi.waitFor(() => expect(c.vms.desktops.size).toBe(0));
  });

  test('does not pile up what a viewer does not read', async () => {
    const viewer = await open();
    viewer.socket.pause();
    const source = c.desktop.connections.at(-1);
    let written = 0;
    const fill = (): void => {
      while (written < 512 * 1024 * 1024) {
        written += 64 * 1024;
        if (source?.write(Buffer.alloc(64 * 1024)) === false) break;
      }
    };
    source?.on('drain', fill);
    fill();
    let before = -1;
    await vi.waitFor(
      () => {
        const now = written;
        const stalled = now === before;
        before = now;
        expect(stalled).toBe(true);
      },
      { timeout: 10_000, interval: 300 },
    );
    expect(written).toBeLessThan(32 * 1024 * 1024);
    viewer.socket.resume();
    await vi.waitFor(() => expect(written).toBeGreaterThan(64 * 1024 * 1024), { timeout: 10_000 });
    viewer.socket.terminate();
    await vi.waitFor(() => expect(c.vms.desktops.size).toBe(0));
  });

  test('is about as fast as a plain connection', async () => {
    const size = 128 * 1024 * 1024;
    const direct = await new Promise<number>((resolve, reject) => {
      const socket = connect(c.desktop.path);
      const measure = meter(size + 12, resolve);
      socket.on('data', measure);
      socket.on('error', reject);
      const push = pusher(size, (chunk) => socket.write(chunk));
      socket.on('drain', push);
      push();
    });
    const viewer = await open();
    const tunnelled = await new Promise<number>((resolve) => {
      viewer.socket.on('message', meter(size, resolve));
      const source = c.desktop.connections.at(-1);
      const push = pusher(size, (chunk) => source?.write(chunk) ?? true);
      source?.on('drain', push);
      push();
    });
    viewer.socket.terminate();
    console.info(`tunnel ${Math.round(tunnelled)} MB/s, direct echo ${Math.round(direct)} MB/s`);
    expect(tunnelled).toBeGreaterThan(5);
  }, 60_000);
});

/** Calls `done` with MB/s once `total` bytes have come. */
function meter(total: number, done: (rate: number) => void): (data: Buffer) => void {
  const start = performance.now();
  let seen = 0;
  return (data) => {
    seen += data.length;
    if (seen >= total) done(total / 1e6 / ((performance.now() - start) / 1000));
  };
}

/** Writes `total` bytes, as much at a time as `write` takes. */
function pusher(total: number, write: (chunk: Buffer) => boolean): () => void {
  const chunk = Buffer.alloc(64 * 1024);
  let left = total;
  return () => {
    while (left > 0) {
      left -= chunk.length;
      if (!write(chunk)) return;
    }
  };
}
