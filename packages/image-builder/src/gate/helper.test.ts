import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { run } from '@airlock/contract/process';
import { answerOf, orderOf, parts, reportOf, withHelper } from './helper.js';

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

/** A folder with what the initrd's hook would write to /run. */
async function writtenByHook(): Promise<string> {
  const added = withHelper(Buffer.alloc(0)).toString('latin1');
  const size = Number.parseInt(added.slice(54, 62), 16);
  const hook = added.slice(116, 116 + size);
  await run('sh', ['-n'], { input: hook });
  const folder = await mkdtemp(join(tmpdir(), 'airlock-helper-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  expect(hook).toMatch(/^mount .*$/m);
  await run('sh', [], { input: hook.replace(/^mount .*$/m, '').replaceAll('/run/', `${folder}/`) });
  return folder;
}

it('is shell, outside and inside', async () => {
  const folder = await writtenByHook();
  await run('sh', ['-n', join(folder, 'airlock-gate.sh')]);
  expect(await readFile(join(folder, 'systemd/system/airlock-gate.service'), 'utf8')).toContain('ExecStart=/bin/sh');
});

it('answers what has changed: files, links and empty folders, but no folder that only leads to them', async () => {
  const folder = await writtenByHook();
  const upper = join(folder, 'airlock-gate-upper');
  await mkdir(join(upper, 'etc/new'), { recursive: true });
  await writeFile(join(upper, 'etc/changed'), '');
  await symlink('nowhere', join(upper, 'etc/a link'));
  const [drive, console] = [join(folder, 'drive'), join(folder, 'console')];
  await writeFile(drive, orderOf(7, 'changes'));
  const script = (await readFile(join(folder, 'airlock-gate.sh'), 'utf8'))
    .replace(/if=\S+ iflag=direct/, `if=${drive}`)
    // Once only.
    .replace('while sleep 0.3', 'for once in 1')
    .replaceAll('>/dev/console', `>>${console}`);
  await run('sh', [], { input: script.replaceAll('/run/', `${folder}/`) });
  expect(answerOf(await readFile(console, 'latin1'), 7)).toEqual(['/etc/a link', '/etc/changed', '/etc/new']);
});

it('takes an answer only when it is there as a whole', () => {
  const whole = 'airlock-gate 7 says /a b\r\nnoise\r\nairlock-gate 7 says /c\r\nairlock-gate 7 said 2\r\n';
  expect(answerOf(whole, 7)).toEqual(['/a b', '/c']);
  expect(answerOf(whole.replace('gate 7 says /c', 'gate 7 say[ 1.2] /c'), 7)).toBeNull();
  expect(answerOf(whole, 70)).toBeNull();
  expect(answerOf('airlock-gate 8 said 0\n', 8)).toEqual([]);
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
