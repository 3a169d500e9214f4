import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readAtMost } from './file.js';
import { readStatusFile } from './status-file.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-status-'));
  path = join(folder, 'status.json');
});
afterEach(() => rm(folder, { recursive: true }));

const status = {
  ...{ vmId: 'vm_0123456789abcdef', epoch: 1, revision: 0, phase: 'ready', vmm: null, error: null, startedAt: 1 },
  ...{ poweredOnAt: null, vncAt: null, agentAt: null, readyAt: null },
  runner: { pid: 1, startTicks: 1, bootId: 'b' },
  egress: { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null },
};

it('is the last word of a runner', async () => {
  await writeFile(path, JSON.stringify(status));
  expect(await readStatusFile(path)).toEqual(status);
});

it.each([
  ['larger than any', JSON.stringify({ ...status, error: { code: 'internal', message: 'x'.repeat(1e6), hint: '' } })],
  ['half', JSON.stringify(status).slice(0, 50)],
  ['nested without end', '['.repeat(100_000)],
])('says nothing when it is %s', async (_what, text) => {
  await writeFile(path, text);
  expect(await readStatusFile(path)).toBeNull();
});

it('a file is read as far as its limit, and not at all beyond it', async () => {
  await writeFile(path, 'x'.repeat(1000));
  expect((await readAtMost(path, 1000))?.length).toBe(1000);
  expect(await readAtMost(path, 999)).toBeNull();
  // Without size, and without end.
  expect(await readAtMost('/dev/zero', 1000)).toBeNull();
});
