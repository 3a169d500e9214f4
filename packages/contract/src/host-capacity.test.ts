import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { needOf } from './capacity.js';
import { homePaths } from './home.js';
import { readHostCapacity } from './host-capacity.js';
import { identifyProcess } from './process.js';
import type { ProcessIdentity, RunnerStatus, VmSpec } from './runner.js';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'al-capacity-'));
});
afterEach(() => rm(home, { recursive: true }));

const vmId = 'vm_0123456789abcdef';
const spec: VmSpec = {
  ...{ version: 2, vmId, kind: 'cli', epoch: 1, driver: 'x', accel: 'tcg', cpus: 1, memoryMib: 2048 },
  ...{ kernel: '/k', initrd: '/i', drives: [{ id: 'root', path: '/d', readOnly: false }], secretFolder: '/s' },
  ...{ bootTimeoutMs: 1, directHosts: [], tscKhz: null },
};

async function writeVm(runner: ProcessIdentity): Promise<void> {
  const { vm, vmFile } = homePaths(home);
  await mkdir(vm(vmId), { recursive: true });
  const times = { startedAt: 1, poweredOnAt: null, vncAt: null, agentAt: null, readyAt: null };
  const egress = { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null };
  const status: RunnerStatus = {
    ...{ vmId, epoch: 1, revision: 1, phase: 'ready', runner, vmm: runner, error: null, egress },
    ...times,
  };
  await writeFile(vmFile(vmId, 'spec'), JSON.stringify(spec));
  await writeFile(vmFile(vmId, 'status'), JSON.stringify(status));
}

test('a home without VMs, also one that is not there yet, owes nothing', async () => {
  const found = await readHostCapacity(join(home, 'not', 'yet'));
  expect(found).toMatchObject({ vms: [], disk: { path: home } });
  expect(found.memory.availableMib).toBeGreaterThan(0);
  expect(found.memory.totalMib).toBeGreaterThanOrEqual(found.memory.availableMib);
});

test('a VM that runs has been promised its memory, and has taken what its processes hold', async () => {
  const self = await identifyProcess(process.pid);
  if (!self) throw new Error('no /proc');
  await writeVm(self);
  const [vm, ...others] = (await readHostCapacity(home)).vms;
  expect(others).toEqual([]);
  expect(vm).toMatchObject({ vmId, promised: { memoryMib: needOf(spec).memoryMib, diskMib: 0 } });
  expect(vm?.taken.memoryMib).toBeGreaterThan(20);
});

/** A disk in the VM's folder, of `sizeMib` with content in the first `usedMib`. */
async function writeDisk(name: string, usedMib: number, sizeMib: number): Promise<void> {
  const path = join(homePaths(home).vm(vmId), name);
  await writeFile(path, Buffer.alloc(usedMib * 1024 * 1024, 'x'));
  await truncate(path, sizeMib * 1024 * 1024);
}

test('a VM that stands still has been promised the sizes of all its disks, of half ones what is there', async () => {
  await writeVm({ pid: 1, startTicks: 1, bootId: 'another boot' });
  await writeDisk('disk.ext4', 3, 4096);
  await writeDisk('root.1.img_000001.ext4', 2, 4000);
  await writeDisk('root.2.img_000002.ext4.partial', 1, 5);
  await writeDisk('serial.log', 1, 1);
  const disks = {
    homeMib: 4096,
    rootsMib: new Map([
      [1, 4000],
      [2, 5],
    ]),
  };
  expect((await readHostCapacity(home)).vms).toEqual([
    { vmId, promised: { memoryMib: 0, diskMib: 8101 }, taken: { memoryMib: 0, diskMib: 6 }, disks },
  ]);
});

test('a home that is only being made is promised already', async () => {
  await mkdir(homePaths(home).vm(vmId), { recursive: true });
  await writeDisk('disk.ext4.partial', 1, 4096);
  expect((await readHostCapacity(home)).vms).toMatchObject([{ vmId, promised: { diskMib: 4096 } }]);
});

test('a folder that nobody can read anything from stands in nobody\u2019s way', async () => {
  const { vm, vmFile } = homePaths(home);
  await mkdir(vm(vmId), { recursive: true });
  await writeFile(vmFile(vmId, 'spec'), '{"version":');
  await writeFile(vmFile(vmId, 'status'), '{}');
  expect((await readHostCapacity(home)).vms).toEqual([]);
});

test('what is no folder of a VM stands in nobody\u2019s way either', async () => {
  const { vms, vm } = homePaths(home);
  await mkdir(join(vms, 'lost+found', 'disk.ext4'), { recursive: true });
  await writeFile(join(vms, 'notes.txt'), '');
  await writeFile(vm(vmId), 'a file where a folder would be');
  expect((await readHostCapacity(home)).vms).toEqual([]);
});

test('nor does the folder of a VM that may not be looked into', async ({ skip }) => {
  if (process.getuid?.() === 0) skip('Root may look into every folder.');
  const folder = homePaths(home).vm(vmId);
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0);
  expect((await readHostCapacity(home)).vms).toEqual([]);
  await chmod(folder, 0o700);
});
