/** Every command of package.json that a person runs explains itself, also before anything is installed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './checkout.mjs';
import { capture } from './run.mjs';

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const own = Object.entries(scripts).filter(([, command]) => command.startsWith('node scripts/'));

describe.each(own)('npm run %s', (name, command) => {
  const call = (argument) => capture([process.execPath, command.split(' ')[1], argument], { cwd: root });

  it('answers --help', async () => {
    const { code, stdout } = await call('--help');
    expect(stdout).toMatch(/^Usage: npm /);
    expect(stdout).toContain(name);
    expect(code).toBe(0);
  });

  it('refuses an unknown option with a sentence and its usage', async () => {
    const { code, stdout, stderr } = await call('--no-such-option');
    expect(stderr).toMatch(/--no-such-option[\s\S]*Usage: npm /);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect([code, stdout]).toEqual([2, '']);
  });
});
