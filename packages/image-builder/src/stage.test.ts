import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { run } from '@airlock/contract/process';
import { makePipe, packStage } from './stage.js';

async function staged(): Promise<{ stage: string; pipe: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-stage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const stage = join(folder, 'stage');
  await mkdir(stage);
  // More than a pipe holds, so that the writer notices that nobody reads.
  await writeFile(join(stage, 'program'), Buffer.alloc(4 * 1024 * 1024, 1));
  const pipe = join(folder, 'stage.pipe');
  await makePipe(pipe, AbortSignal.timeout(10_000));
  return { stage, pipe };
}

test('gives the reader what is in the stage, as root has it and as old as it is told', async () => {
  const { stage, pipe } = await staged();
  const signal = AbortSignal.timeout(10_000);
  const reader = run('tar', ['--list', '--verbose', '--numeric-owner', `--file=${pipe}`], {
    signal,
    env: { TZ: 'UTC' },
  });
  await packStage({ stage, pipe, epoch: 86_400, reader, signal });
  expect((await reader).stdout).toContain('-rw-r--r-- 0/0         4194304 1970-01-02 00:00 ./program');
});

test('tells why the reader stopped reading, not that it did', async () => {
  const { stage, pipe } = await staged();
  const signal = AbortSignal.timeout(10_000);
  const reader = run('sh', ['-c', 'head -c 1000 < "$0" > /dev/null; echo no space left >&2; exit 2', pipe], { signal });
  const [packed] = await Promise.allSettled([packStage({ stage, pipe, epoch: 0, reader, signal }), reader]);
  expect(packed).toMatchObject({ reason: { message: 'sh ended with exit code 2: no space left' } });
});
