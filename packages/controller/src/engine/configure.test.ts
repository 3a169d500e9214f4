/** Settings for a running VM. The runner here is a stand-in. */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import type { VmSettings } from '@airlock/contract/runner';
import type { Engine } from './engine.js';
import { openTestEngine } from './testing.js';

const vmId = 'vm_0123456789abcdef';
const never = new AbortController().signal;
const settings: VmSettings = { timezone: 'Asia/Tokyo', extraCaPem: null, upstream: null, directHosts: ['.example'] };

let home: string;
let engine: Engine;
let runner: Server;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-engine-'));
  engine = openTestEngine(home);
  await mkdir(homePaths(home).vm(vmId), { recursive: true });
});
afterEach(async () => {
  await engine.close();
  runner.close();
  await rm(home, { recursive: true });
});

/** A runner that answers `body` with `status`; resolves to what it is asked. */
async function listen(status: number, body: unknown): Promise<{ asked: string[] }> {
  const asked: string[] = [];
  runner = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.once('end', () => {
      asked.push(`${request.method} ${request.url} ${text}`);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  runner.listen(homePaths(home).vmFile(vmId, 'socket'));
  await once(runner, 'listening');
  return { asked };
}

test.each([true, false])('they are handed to the runner, which says whether they are new: %s', async (changed) => {
  const { asked } = await listen(200, { changed });
  expect(await engine.configure(vmId, settings, never)).toBe(changed);
  expect(asked).toEqual([`POST /configure ${JSON.stringify(settings)}`]);
});

test('a refusal of the guest is passed on', async () => {
  await listen(502, { error: new AppError('guest_refused', 'It is not in force.').toBody() });
  await expect(engine.configure(vmId, settings, never)).rejects.toMatchObject({ code: 'guest_refused' });
});

test.each([
  ['did not know the call', 404, new AppError('not_found', 'The runner has no POST /configure.')],
  ['knew it with other members', 400, new AppError('invalid_request', 'guestConfig: expected an object')],
])('a runner of a version that %s says what helps', async (_what, status, refusal) => {
  await listen(status, { error: refusal.toBody() });
  await expect(engine.configure(vmId, settings, never)).rejects.toMatchObject({
    code: 'runner_failed',
    message: expect.stringContaining('another version') as string,
    hint: expect.stringContaining('next start') as string,
  });
});
