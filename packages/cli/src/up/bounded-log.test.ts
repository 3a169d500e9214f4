import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openBoundedLog } from './bounded-log.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'al-log-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('keeps the newest lines in at most two files, readable by the owner alone', async () => {
  const file = join(folder, 'controller.log');
  const log = await openBoundedLog(file, 1000);
  for (let n = 0; n < 100; n += 1) {
    log.write(`line ${n} ${'x'.repeat(40)}`);
    await log.flush();
  }
  expect((await stat(file)).size).toBeLessThanOrEqual(1000);
  expect((await stat(`${file}.1`)).size).toBeLessThanOrEqual(1000);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readFile(file, 'utf8')).toContain('line 99 ');
});

test('goes on with what is there', async () => {
  const file = join(folder, 'controller.log');
  for (const line of ['one', 'two']) {
    const log = await openBoundedLog(file);
    log.write(line);
    await log.flush();
  }
  expect(await readFile(file, 'utf8')).toBe('one\ntwo\n');
});
