import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { removeFolder } from './workspace.js';

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
