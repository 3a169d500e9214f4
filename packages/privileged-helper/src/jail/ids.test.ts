import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { identifyProcess } from '@airlock/contract/process';
import { giveBackId, takeId } from './ids.js';

let run: string;
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), 'airlock-ids-'));
});
afterEach(() => rm(run, { recursive: true }));

const range = { first: 70000, last: 70001 };

it('gives each id once, and says when none is left', async () => {
  expect((await Promise.all([takeId(run, range), takeId(run, range)])).sort()).toEqual([70000, 70001]);
  await expect(takeId(run, range)).rejects.toMatchObject({ code: 'vm_ids_exhausted' });
  await giveBackId(run, 70001);
  expect(await takeId(run, range)).toBe(70001);
});

it('takes the id of a process that is gone, and not that of one that runs', async () => {
  await mkdir(join(run, 'ids'));
  const gone = { pid: 4_194_304, startTicks: 1, bootId: 'another' };
  await writeFile(join(run, 'ids', '70000'), JSON.stringify(gone));
  await writeFile(join(run, 'ids', '70001'), JSON.stringify(await identifyProcess(process.pid)));
  expect(await takeId(run, range)).toBe(70000);
  await expect(takeId(run, range)).rejects.toMatchObject({ code: 'vm_ids_exhausted' });
  expect((await readdir(join(run, 'ids'))).toSorted()).toEqual(['70000', '70001']);
});

it('gives the id that is asked for, unless it is in use or of somebody else', async () => {
  expect(await takeId(run, range, 70001)).toBe(70001);
  for (const id of [70001, 69999, 70002, 1000, 0]) {
    await expect(takeId(run, range, id)).rejects.toMatchObject({
      code: 'vm_id_refused',
      message: expect.stringContaining(String(id)),
    });
  }
  expect(await takeId(run, range)).toBe(70000);
});

it('chooses those last that are asked for first', async () => {
  expect(await takeId(run, range)).toBe(70001);
});
