import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { ownFolder, removeLeftovers } from './leftovers.js';

it('removes the folders of runs that are gone, and no other', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'airlock-left-'));
  try {
    const gone = spawn('true');
    await once(gone, 'exit');
    const own = basename(await ownFolder(parent, 'run-'));
    const others = [own, `other-${gone.pid}-x`, 'run-', 'run-name-x', `run-${gone.pid}x`];
    for (const name of [...others.slice(1), `run-${gone.pid}-x`, `run-${gone.pid}`]) await mkdir(join(parent, name));
    await removeLeftovers(parent, 'run-', (path) => rm(path, { recursive: true }));
    expect((await readdir(parent)).sort()).toEqual(others.sort());
  } finally {
    await rm(parent, { recursive: true });
  }
});
