/** A VMM is named in its own folder and in the list of drivers; besides, only where somebody has to install or judge it. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { root } from './checkout.mjs';

const allowed = [
  // What doctor looks for and tells, and what an image build needs on the host.
  'packages/cli/src/doctor/facts.ts',
  'packages/cli/src/doctor/findings.ts',
  'packages/image-builder/src/host.ts',
  // What an administrator may ask for.
  'packages/contract/src/settings.ts',
];
// The last one: who installs it.
const own =
  /^packages\/(runner\/src\/vmm\/(qemu\/|firecracker\/|registered\.ts$)|cli\/src\/(firecracker\/|program\.ts$))/;
const testOnly = /\.test\.tsx?$|\/(fixtures|testing)[/.]/;

test('no other production file names QEMU or Firecracker, or speaks their language', () => {
  const pattern = 'qemu|firecracker|info usernet|-netdev|hostfwd|[^a-z]qmp[^a-z]';
  const found = execFileSync('git', ['grep', '-liE', '--untracked', pattern, '--', 'packages'], {
    cwd: root,
    encoding: 'utf8',
  });
  const files = found
    .split('\n')
    .filter((file) => /\/src\/.*\.tsx?$/.test(file) && !testOnly.test(file) && !own.test(file));
  expect(files.filter((file) => !allowed.includes(file))).toEqual([]);
  expect(allowed.length).toBeLessThanOrEqual(4);
});
