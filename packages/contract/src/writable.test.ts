/** What an operator is told of a folder that the service, or its user, may not write to. Read-only mounts are real, in a namespace of their own. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inReadOnly, mayMount } from './fixtures/read-only.js';
import { whyNotWritable } from './writable.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'al-writable-'));
});
afterEach(() => rm(folder, { recursive: true }));

const isRoot = process.getuid?.() === 0;
const isSkipped = !(await mayMount());

/** What `whyNotWritable` says of `path` in a process for which `folder` is read-only, as everything is in the unit. */
async function saidReadOnly(path: string): Promise<string> {
  const program = new URL('../dist/writable.js', import.meta.url).href;
  const script = `const { whyNotWritable } = await import('${program}');
    const { code, message, hint } = await whyNotWritable('${path}', 'AIRLOCK_HOME');
    console.log([code, message, hint].join('\\n'));`;
  return inReadOnly(folder, script);
}

test('a folder that can be written to, or made, is nothing to tell', async () => {
  expect(await whyNotWritable(folder, 'AIRLOCK_HOME')).toBe(null);
  expect(await whyNotWritable(join(folder, 'not/there/yet'), 'AIRLOCK_HOME')).toBe(null);
});

test.skipIf(isSkipped).each(['', '/not/there/yet'])(
  'a read-only one is told with ReadWritePaths= and the drop-in that widens the unit: %s',
  async (below) => {
    const path = `${folder}${below}`;
    const said = await saidReadOnly(path);
    expect(said).toMatch(/^not_writable\nAIRLOCK_HOME is .* read-only for this process \(EROFS\)/);
    expect(said).toContain(path);
    expect(said).toContain(`\`[Service]\` and \`ReadWritePaths=${path}\` into /etc/systemd/system/airlock.service.d/`);
  },
);

test.skipIf(isRoot)('one of others is told with what makes it, and the drop-in', async () => {
  await mkdir(join(folder, 'closed'));
  await chmod(join(folder, 'closed'), 0o500);
  const refused = await whyNotWritable(join(folder, 'closed/home'), 'AIRLOCK_HOME');
  expect(refused?.message).toMatch(/cannot make it in .*closed \(EACCES; .*mode 500\)/);
  expect(refused?.hint).toMatch(/install -d -m 0700 -o .*ReadWritePaths=/);
});
