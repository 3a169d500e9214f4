/** A user that writes to a file while the agent reads it: no more leaves the file than its limit. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../fixtures/config.js';
import { readUserFile } from './folder.js';
import { cliFileBytes } from './store.js';

/** Has the file one size and the other, by turns, as fast as it can, until its input ends. */
const flicker = `
  const { ftruncateSync, openSync } = require('node:fs');
  const [path, small, large] = process.argv.slice(1);
  const file = openSync(path, 'r+');
  process.stdin.resume().once('end', () => process.exit());
  const turn = () => {
    for (let at = 0; at < 100; at += 1) ftruncateSync(file, Number(at % 2 ? large : small));
    setImmediate(turn);
  };
  turn();
  console.log('begun');
`;

it('is never read beyond the limit, also when it grows between the look at its size and the read', async () => {
  const home = await temporaryFolder();
  const path = join(home, '.codex/auth.json');
  await mkdir(join(home, '.codex'));
  await writeFile(path, '');
  const user = spawn(process.execPath, ['-e', flicker, path, '4096', String(300 * 1024 * 1024)]);
  const ended = once(user, 'exit');
  try {
    await once(user.stdout, 'data');
    const sizes: number[] = [];
    for (let look = 0; look < 400; look += 1) {
      const file = await readUserFile(home, '.codex/auth.json', cliFileBytes).catch(
        (error: { code: string }) => error.code,
      );
      if (typeof file === 'string') expect(file).toBe('credential_invalid');
      else sizes.push(file?.content.length ?? 0);
    }
    // Of both kinds, or nothing was shown.
    expect(sizes.length).toBeGreaterThan(10);
    expect(sizes.length).toBeLessThan(400);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(cliFileBytes);
  } finally {
    user.stdin.end();
    await ended;
  }
});
