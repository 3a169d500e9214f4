import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CanaryReport } from './canary.js';
import { readCanaryReport, writeCanaryReport } from './canary-file.js';
import { homePaths } from './home.js';

const report: CanaryReport = {
  at: '2026-11-26T22:00:00.000Z',
  problem: null,
  clis: [
    {
      ...{
        id: 'codex',
        tried: '1.2.3',
        latest: '1.3.0',
        keptBack: 'why',
        signsIn: 'no',
        failure: 'at "opens": no page',
      },
      leftOut: ['.codex/auth.json: new_member'],
    },
  ],
};
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-canary-report-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('is read as it was written, from a home that was not there, by its owner alone', async () => {
  const home = join(folder, 'new');
  expect(await readCanaryReport(home)).toBeNull();
  await writeCanaryReport(home, report);
  expect(await readCanaryReport(home)).toEqual(report);
  expect((await stat(homePaths(home).canary)).mode & 0o777).toBe(0o600);
});

it('is read as versions before have written it', async () => {
  const [{ leftOut: _later, ...before } = {}] = report.clis;
  await writeFile(homePaths(folder).canary, JSON.stringify({ ...report, clis: [before] }));
  expect((await readCanaryReport(folder))?.clis).toEqual([{ ...before, leftOut: [] }]);
});

it.each([
  ['cut off', JSON.stringify(report).slice(0, -1)],
  ['of more than is known', JSON.stringify({ ...report, more: 1 })],
  ['without its time', JSON.stringify({ ...report, at: undefined })],
])('is none when the file is %s', async (_what, text) => {
  await writeFile(homePaths(folder).canary, text);
  expect(await readCanaryReport(folder)).toBeNull();
});

it('stays when what should take its place is none', async () => {
  await writeCanaryReport(folder, report);
  await expect(writeCanaryReport(folder, { ...report, at: 'today' })).rejects.toThrow(/datetime|Invalid ISO/);
  expect(await readCanaryReport(folder)).toEqual(report);
});
