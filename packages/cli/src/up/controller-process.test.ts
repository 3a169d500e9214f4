import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runController } from './controller-process.js';

const program = fileURLToPath(new URL('../../src/fixtures/controller.mjs', import.meta.url));
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'al-up-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

/** Starts the fixture, stops it once it is ready, gives the order of events. */
async function startAndStop(manner: string): Promise<string[]> {
  vi.stubEnv('FIXTURE_MANNER', manner);
  const events: string[] = [];
  const abort = new AbortController();
  await runController({
    program,
    home,
    stop: abort.signal,
    graceMs: 300,
    onReady: (line) => {
      events.push(line);
      abort.abort();
    },
    beforeStop: async () => void events.push('before stop'),
  });
  return events;
}

test.each(['obey', 'ignore'])('stops a controller that would %s, and no login link is in the log', async (manner) => {
  expect(await startAndStop(manner)).toEqual([
    'Airlock is ready: http://127.0.0.1:1/login#canary-token',
    'before stop',
  ]);
  const log = await readFile(join(home, 'controller.log'), 'utf8');
  expect(log).toContain('listening');
  expect(log).not.toContain('canary');
});

test('a controller that ends by itself is an error', async () => {
  vi.stubEnv('FIXTURE_MANNER', 'crash');
  const options = { program, home, stop: new AbortController().signal, onReady: () => undefined };
  await expect(runController({ ...options, beforeStop: async () => undefined })).rejects.toMatchObject({
    code: 'command_failed',
    message: 'The controller ended by itself (exit code 3).',
  });
});
