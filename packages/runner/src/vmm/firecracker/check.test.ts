import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inReadOnly, mayMount } from '@airlock/contract/fixtures/read-only';
import { tinyKernel } from '../../fixtures/tiny-guest.js';
import { checkBoot, checkVm, type Inputs } from './check.js';

let folder: string;
let vm: Inputs;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-fc-check-'));
  await writeFile(at('vmlinux'), tinyKernel('', 'halt'));
  for (const name of ['initrd', 'disk']) await writeFile(at(name), '');
  const drives = [{ id: 'root', path: at('disk'), readOnly: false }];
  vm = { kernel: at('vmlinux'), initrd: at('initrd'), drives, memoryMib: 64 };
});
afterAll(() => rm(folder, { recursive: true }));

it('has nothing against a VM whose files are there', async () => {
  await expect(Promise.all([checkBoot(vm), checkVm(vm)])).resolves.toBeTruthy();
});

it.each([
  ['bzImage', 'MZ\xea\x07\x00\xc0\x07\x8c'],
  ['an empty file', ''],
  ['a 32-bit ELF', '\x7fELF\x01\x01\x01'],
])('refuses %s as a kernel', async (_what, content) => {
  await writeFile(at('other'), content, 'latin1');
  await expect(checkBoot({ ...vm, kernel: at('other') })).rejects.toMatchObject({ code: 'kernel_unusable' });
});

it.each([
  ['a kernel', { kernel: '/nowhere/vmlinux' }],
  ['an initrd', { initrd: '/nowhere/initrd.img' }],
])('says which file is missing: %s', async (_what, change) => {
  const told = checkBoot({ ...vm, ...change });
  await expect(told).rejects.toMatchObject({ code: 'vmm_failed', message: expect.stringContaining('/nowhere/') });
});

it('refuses a drive that is not there', async () => {
  const drives = [{ id: 'root', path: '/nowhere/rootfs.ext4', readOnly: true }];
  await expect(checkVm({ ...vm, drives })).rejects.toMatchObject({
    code: 'drive_unusable',
    message: expect.stringMatching(/"root" .*rootfs.ext4.* read by/),
  });
});

it('refuses a drive that the VM is to write, and may only be read', async ({ skip }) => {
  if (!(await mayMount())) skip('This user may not make mounts.');
  const script = `
    import { checkVm } from ${JSON.stringify(import.meta.resolve('@airlock/runner/vmm/firecracker/check'))};
    const vm = ${JSON.stringify(vm)};
    const told = (readOnly) => checkVm({ ...vm, drives: [{ ...vm.drives[0], readOnly }] }).catch(({ code, message }) => ({ code, message }));
    console.log(JSON.stringify([(await told(true)) ?? null, await told(false)]));`;
  expect(JSON.parse(await inReadOnly(folder, script))).toEqual([
    null,
    { code: 'drive_unusable', message: expect.stringContaining('read and written') as string },
  ]);
});

it('refuses more memory than the host has', async () => {
  const memoryMib = Math.ceil(totalmem() / 1024 ** 2) + 1;
  await expect(checkVm({ ...vm, memoryMib })).rejects.toMatchObject({
    code: 'vmm_failed',
    message: expect.stringContaining('memory'),
  });
});
