/** A new configuration for a running VM. The runner here is a stand-in. */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import type { GuestConfig } from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import type { Engine } from './engine.js';
import { openTestEngine } from './testing.js';

const vmId = 'vm_0123456789abcdef';
const never = new AbortController().signal;
const config = { vmId, timezone: 'Asia/Tokyo' } as GuestConfig;

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

test('it is handed to the runner, whose refusal is passed on', async () => {
  const { asked } = await listen(400, { error: new AppError('invalid_request', 'It cannot change.').toBody() });
  await expect(engine.configure(vmId, config, never)).rejects.toMatchObject({ code: 'invalid_request' });
  expect(asked).toEqual([`POST /configure ${JSON.stringify({ guestConfig: config })}`]);
});

test('a runner of a version that could not do this says what helps', async () => {
  await listen(404, { error: new AppError('not_found', 'There is no such call.').toBody() });
  await expect(engine.configure(vmId, config, never)).rejects.toMatchObject({
    code: 'runner_failed',
    message: expect.stringContaining('older version') as string,
    hint: expect.stringContaining('next start') as string,
  });
});
