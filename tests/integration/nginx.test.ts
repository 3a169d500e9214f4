/** The controller behind Debian's nginx, configured as docs/operations.md says, with its own time-outs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { DesktopTicket } from '@airlock/contract/api';
import { startTestController, type TestController } from '@airlock/controller/http/testing/controller';
import { until } from '../support/poll.js';
import { accepts, freePort } from '../support/port.js';

/** Milliseconds; nginx ends what is silent for 60 seconds. */
const stillMs = 66_000;

let folder: string;
let controller: TestController;
let nginx: ChildProcess;
let url: string;
let errors = '';

beforeAll(async () => {
  controller = await startTestController();
  folder = await mkdtemp(join(tmpdir(), 'al-nginx-'));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const operations = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const location = /```nginx\n(.*?)```/s.exec(operations)?.[1]?.replace('http://127.0.0.1:4000', controller.url) ?? '';
  if (!location.includes(controller.url)) throw new Error('docs/operations.md has no lines for nginx.');
  const map = /`(map \$http_upgrade .*?\})`/.exec(operations)?.[1] ?? '';
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr;
    events {}
    http { access_log off; ${map}
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      server { listen 127.0.0.1:${port}; ${location} } }`,
  );
  nginx = spawn('/usr/sbin/nginx', ['-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  nginx.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  await until('nginx to listen', () => accepts(port), { timeoutMs: 20_000, explain: () => errors });
}, 120_000);

afterAll(async () => {
  if (nginx.exitCode === null && nginx.kill()) await once(nginx, 'close');
  await controller.close();
  await rm(folder, { recursive: true });
});

it('passes on a call, and says whose address it comes from', async () => {
  expect((await controller.call('GET', '/api/me', { token: controller.ada.token, base: url })).status).toBe(200);
});

it('keeps the way to a still desktop, and the events of a session that stands still', async () => {
  const [desktop, events] = await Promise.all([stillDesktop(), stillEvents()]);
  expect([desktop, events]).toEqual(['after', true]);
}, 120_000);

/** What a desktop answers after a time in which nobody has said anything. */
async function stillDesktop(): Promise<string> {
  const { token, user } = controller.ada;
  const vm = controller.vms.add(user.id);
  const asked = await controller.call('POST', `/api/vm/${vm.id}/desktop-ticket`, { token, base: url });
  const { path } = DesktopTicket.parse(asked.json);
  const socket = new WebSocket(new URL(path, url.replace('http', 'ws')), 'binary', {
    headers: { authorization: `Bearer ${token}` },
  });
  await once(socket, 'open');
  const closed = once(socket, 'close').then(([code]) => `closed with ${String(code)}`);
  const answered = delay(stillMs).then(async () => {
    socket.send(Buffer.from('after'));
    return String((await once(socket, 'message'))[0]);
  });
  const result = await Promise.race([closed, answered]);
  socket.terminate();
  return result;
}

/** Whether the stream is still there, with the next state of the session. */
async function stillEvents(): Promise<boolean> {
  const { token } = controller.ada;
  const { json } = await controller.call('POST', '/api/vm/auth', { token, body: { provider: 'codex' } });
  const id = String(json['sessionId']);
  const left = new AbortController();
  const response = await fetch(`${url}/api/vm/auth/${id}/events`, {
    headers: { authorization: `Bearer ${token}` },
    signal: left.signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const read = async (wanted: string): Promise<boolean> => {
    for (let text = ''; !text.includes(wanted);) {
      const part = await reader?.read();
      if (part?.value === undefined) return false;
      text += part.value;
    }
    return true;
  };
  if (!(await read('"pending"'))) return false;
  await delay(stillMs);
  controller.sessions.change(id, { status: 'vm_created' });
  const result = await read('"vm_created"');
  left.abort();
  return result;
}
