import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { rootFile, runnerFiles, type VmSpec } from '@airlock/contract/runner';
import { idOf, makeImage } from './fixtures/images.js';
import { makeCurrent } from './image.js';
import { prune } from './prune.js';

let home: string;
let imagesFolder: string;
const later = (): number => Date.now() + 3_600_000;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-prune-'));
  imagesFolder = join(home, 'images');
  for (const n of [1, 2, 3, 4, 5]) {
    await makeImage(imagesFolder, n);
    await makeCurrent(imagesFolder, idOf(n), 'build');
  }
});
afterEach(() => rm(home, { recursive: true }));

const images = async (): Promise<string[]> => (await readdir(imagesFolder)).filter((name) => /img_/.test(name)).sort();

/** A VM's folder as the engine leaves it; `alive`: its disk or config drive exists. */
async function makeVm(vmId: string, kind: VmSpec['kind'], image: string, alive: boolean): Promise<void> {
  const folder = join(home, 'vm', vmId);
  await mkdir(folder, { recursive: true });
  const secretFolder = join(home, 'secret', vmId);
  const disk = kind === 'cli' ? join(folder, runnerFiles.disk) : null;
  const file = (name: string): string => join(imagesFolder, image, name);
  const spec: VmSpec = {
    version: 2,
    vmId,
    kind,
    epoch: 1,
    driver: 'qemu',
    accel: 'tcg',
    cpus: 1,
    memoryMib: 2048,
    kernel: file('vmlinux'),
    initrd: file('initrd.img'),
    drives: [{ id: 'root', path: disk ?? file('rootfs.ext4'), readOnly: disk === null }],
    secretFolder,
    bootTimeoutMs: 60_000,
    directHosts: [],
    tscKhz: null,
  };
  await writeFile(join(folder, runnerFiles.spec), JSON.stringify(spec));
  if (alive && disk) await writeFile(disk, '');
  else if (alive) await mkdir(secretFolder, { recursive: true });
}

it('keeps the current one and the newest others', async () => {
  const { removed, bytes } = await prune(imagesFolder, home, 1, later());
  expect(removed).toEqual([idOf(3), idOf(2), idOf(1)]);
  expect(await images()).toEqual([idOf(4), idOf(5)]);
  expect(bytes).toBeGreaterThan(0);
});

it('keeps the images of VMs: a stopped CLI VM needs its kernel again, a destroyed VM nothing', async () => {
  await makeVm('vm_0000000000000001', 'cli', idOf(1), true);
  await makeVm('vm_0000000000000002', 'browser', idOf(2), true);
  await makeVm('vm_0000000000000003', 'browser', idOf(3), false);
  await makeVm('vm_0000000000000004', 'cli', idOf(4), false);
  const { kept } = await prune(imagesFolder, home, 0, later());
  expect(await images()).toEqual([idOf(1), idOf(2), idOf(5)]);
  expect(kept).toContainEqual({ id: idOf(1), why: 'used by vm_0000000000000001' });
});

it('keeps the images of all roots of a VM, of two while one is replaced, also of a half one', async () => {
  await makeVm('vm_0000000000000001', 'cli', idOf(1), false);
  for (const name of [
    rootFile({ number: 3, imageId: idOf(2) }),
    `${rootFile({ number: 4, imageId: idOf(3) })}.partial`,
  ])
    await writeFile(join(home, 'vm', 'vm_0000000000000001', name), '');
  await prune(imagesFolder, home, 0, later());
  expect(await images()).toEqual([idOf(2), idOf(3), idOf(5)]);
});

it('keeps the image of a VM that may have to boot from the disk of its home again', async () => {
  await makeVm('vm_0000000000000001', 'cli', idOf(1), false);
  await writeFile(join(home, 'vm', 'vm_0000000000000001', rootFile({ number: 0, imageId: idOf(2) })), '');
  await prune(imagesFolder, home, 0, later());
  expect(await images()).toEqual([idOf(2), idOf(5)]);
});

it('takes no notice of what is no folder of a VM', async () => {
  await mkdir(join(home, 'vm'));
  await writeFile(join(home, 'vm', 'notes.txt'), '');
  await prune(imagesFolder, home, 0, later());
  expect(await images()).toEqual([idOf(5)]);
});

it('keeps the image of a VM that a version before this one made, and takes no notice of what is no specification', async () => {
  await makeVm('vm_0000000000000001', 'cli', idOf(1), true);
  const file = join(home, 'vm', 'vm_0000000000000001', runnerFiles.spec);
  const { version: _, drives, secretFolder: secretDir, ...same } = JSON.parse(await readFile(file, 'utf8')) as VmSpec;
  const old = { ...same, version: 1, rootfs: '/rootfs.ext4', disk: drives[0]?.path, secretDir };
  await writeFile(file, JSON.stringify(old));
  await mkdir(join(home, 'vm', 'vm_0000000000000002'));
  await writeFile(join(home, 'vm', 'vm_0000000000000002', runnerFiles.spec), 'cut sho');
  await prune(imagesFolder, home, 0, later());
  expect(await images()).toEqual([idOf(1), idOf(5)]);
});

it('keeps what was current until just now: a VM may be on its way', async () => {
  await prune(imagesFolder, home, 0);
  expect(await images()).toEqual([1, 2, 3, 4, 5].map(idOf));
});

it('keeps the current one also when it is not the newest', async () => {
  await makeCurrent(imagesFolder, idOf(2), 'rollback');
  await prune(imagesFolder, home, 0, later());
  expect(await images()).toEqual([idOf(2)]);
});

it('finishes what a killed one had begun', async () => {
  await mkdir(join(imagesFolder, `.removed-${idOf(9)}`));
  await prune(imagesFolder, home, 9);
  expect((await readdir(imagesFolder)).filter((name) => name.startsWith('.'))).toEqual([]);
});
