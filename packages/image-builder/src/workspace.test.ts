import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '@airlock/contract/process';
import { isRoot, removeFolder } from './workspace.js';

it('ends what still works in a folder before it removes it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-workspace-'));
  const left = spawn('sleep', ['60'], { argv0: `sleep-in-${folder}` });
  const other = spawn('sleep', ['60']);
  await Promise.all([once(left, 'spawn'), once(other, 'spawn')]);
  const ended = once(left, 'exit');
  await removeFolder(folder);
  expect((await ended)[1]).toBe('SIGKILL');
  expect(other.exitCode).toBeNull();
  other.kill();
  await once(other, 'exit');
  await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' });
});

if (!isRoot) console.log('Skipped: only root can mount, and so leave something mounted.');
it.runIf(isRoot)('takes away what a killed build has left mounted in it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-workspace-'));
  const outer = join(folder, 'root');
  await mkdir(outer);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', outer]);
  await mkdir(join(outer, 'dev'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', join(outer, 'dev')]);
  await removeFolder(folder);
  await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' });
});
