import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { run } from '@airlock/contract/process';
import { orderOf, parts, reportOf, withHelper } from './helper.js';

it('comes as an archive of its own behind the initrd', () => {
  const initrd = Buffer.from('any archive');
  const both = withHelper(initrd);
  expect(both.subarray(0, initrd.length)).toEqual(initrd);
  const added = both.subarray(12).toString('latin1');
  expect(added.slice(0, 6)).toBe('070701');
  // Name lengths and file size as the kernel reads them: hexadecimal, at fixed places.
  expect(Number.parseInt(added.slice(94, 102), 16)).toBe('gate'.length + 1);
  expect(added.slice(110, 114)).toBe('gate');
  expect(added).toContain('TRAILER!!!');
  expect(both.length % 4).toBe(0);
});

it('is shell, outside and inside', async () => {
  const added = withHelper(Buffer.alloc(0)).toString('latin1');
  const size = Number.parseInt(added.slice(54, 62), 16);
  const hook = added.slice(116, 116 + size);
  await run('sh', ['-n'], { input: hook });
  const folder = await mkdtemp(join(tmpdir(), 'airlock-helper-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  // What the hook would write, written here instead.
  await run('sh', [], { input: hook.replaceAll('/run/', `${folder}/`) });
  await run('sh', ['-n', join(folder, 'airlock-gate.sh')]);
  expect(await readFile(join(folder, 'systemd/system/airlock-gate.service'), 'utf8')).toContain('ExecStart=/bin/sh');
});

it('reads an order as the helper does', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-helper-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const drive = join(folder, 'drive');
  await writeFile(drive, Buffer.concat([orderOf(7, 'browser'), Buffer.alloc(8192)]));
  const script = `set -- $(dd if=${drive} bs=4096 count=1 2>/dev/null | tr -d '\\000'); echo "$1 $2"`;
  const { stdout } = await run('sh', ['-c', script]);
  expect(stdout).toBe(`7 ${parts.browser}\n`);
});

it('finds its report on the console', () => {
  const console = 'noise\r\nairlock-gate 7 killed 412\r\nairlock-gate 17 back 5\r\n';
  expect(reportOf(console, 7, 'killed')).toBe(412);
  expect(reportOf(console, 7, 'back')).toBeNull();
});
