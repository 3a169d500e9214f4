/** The disks of a CLI VM: whole or not there, and apart from the image. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { run } from '@airlock/contract/process';
import { rootFile } from '@airlock/contract/runner';
import { createLocalEngine } from './local.js';
import type { Engine } from './engine.js';

const never = new AbortController().signal;
const whole = { low: false, signal: never };
const vmId = newId('vm');
const root = { number: 1, imageId: 'img_202601011200abcdef01' };
const gib = 1024 ** 3;
let home: string;
let rootfs: string;
let folder: string;
let engine: Engine;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-disk-'));
  folder = homePaths(home).vm(vmId);
  rootfs = join(home, 'rootfs');
  await writeFile(rootfs, randomBytes(100_000));
  await truncate(rootfs, 50_000_000);
  engine = createLocalEngine({
    settings: { AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' },
    imageFiles: async () => ({ kernel: rootfs, initrd: rootfs, rootfs }),
    tscKhz: null,
    helperSocket: null,
  });
});
afterEach(async () => {
  await engine.close();
  await rm(home, { recursive: true });
});

const names = async (): Promise<string[]> => (await readdir(folder)).toSorted();
const rootPath = (): string => join(folder, rootFile(root));

/** An image that comes as slowly as it is written: what copies it is in its middle until then. */
async function slowImage(): Promise<void> {
  await rm(rootfs);
  await run('mkfifo', [rootfs]);
}

/** Of the process that writes `path`, as the kernel lists it; null when there is none. */
async function writerOf(path: string): Promise<{ niceness: number } | null> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [command, line] = await Promise.all(
      ['cmdline', 'stat'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    if (!command?.startsWith('cp\0') || !command.endsWith(`${path}\0`)) continue;
    return { niceness: Number(line?.slice(line.lastIndexOf(')') + 2).split(' ')[16]) };
  }
  return null;
}

/** Runs `words` of an engine of this home in another process: a controller that can be killed. */
function inController(words: string, before: string[] = []) {
  const module = pathToFileURL(createRequire(import.meta.url).resolve('@airlock/controller/engine/local')).href;
  const settings = JSON.stringify({ AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' });
  const program = `
    const { createLocalEngine } = await import(${JSON.stringify(module)});
    const rootfs = ${JSON.stringify(rootfs)};
    const engine = createLocalEngine({ settings: ${settings}, imageFiles: async () => ({ rootfs }) });
    const signal = new AbortController().signal;
    const [vmId, root] = ${JSON.stringify([vmId, root])};
    const told = await ${words}.then(() => null, ({ code, message, hint }) => ({ code, message, hint }));
    const { readdir } = await import('node:fs/promises');
    console.log(JSON.stringify({ ...told, left: await readdir(${JSON.stringify(folder)}) }));`;
  const [file = '', ...args] = [...before, process.execPath, '--input-type=module', '-e', program];
  return spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

describe('a root', () => {
  test.each([true, false])('is a full copy of the image, whose holes stay holes (low: %s)', async (low) => {
    await engine.createRoot(vmId, root, { ...whole, low });
    expect((await readFile(rootPath())).equals(await readFile(rootfs))).toBe(true);
    const [copy, source] = await Promise.all([stat(rootPath()), stat(rootfs)]);
    expect(copy.ino).not.toBe(source.ino);
    expect(copy.blocks * 512).toBeLessThan(1_000_000);
    expect(await names()).toEqual([rootFile(root)]);
  });

  test('that is there stays, also when its image is gone', async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(rootPath(), 'in use');
    await rm(rootfs);
    await engine.createRoot(vmId, root, whole);
    expect(await readFile(rootPath(), 'utf8')).toBe('in use');
  });

  test.each([true, false])('that is given up leaves nothing, and nobody who writes it (low: %s)', async (low) => {
    await slowImage();
    const given = new AbortController();
    const made = engine.createRoot(vmId, root, { low, signal: given.signal });
    await expect.poll(() => writerOf(`${rootPath()}.partial`)).not.toBeNull();
    const writer = await writerOf(`${rootPath()}.partial`);
    expect(writer?.niceness).toBe(low ? 19 : getPriority());
    given.abort(new Error('given up'));
    await expect(made).rejects.toThrow('given up');
    expect(await writerOf(`${rootPath()}.partial`)).toBeNull();
    expect(await names()).toEqual([]);
    await expect(engine.createRoot(vmId, root, { low, signal: given.signal })).rejects.toThrow('given up');
  });

  test('whose controller is killed is half a one, with nobody who writes it, and made anew', async () => {
    await slowImage();
    const controller = inController('engine.createRoot(vmId, root, { low: true, signal })');
    const image = await open(rootfs, 'w');
    await image.write(randomBytes(70_000));
    await expect.poll(async () => (await stat(`${rootPath()}.partial`)).size).toBeGreaterThan(0);
    controller.kill('SIGKILL');
    await once(controller, 'exit');
    await expect.poll(() => writerOf(`${rootPath()}.partial`)).toBeNull();
    await image.close();
    expect(await names()).toEqual([`${rootFile(root)}.partial`]);
    await rm(rootfs);
    await writeFile(rootfs, 'the image');
    await engine.createRoot(vmId, root, whole);
    expect(await readFile(rootPath(), 'utf8')).toBe('the image');
    expect(await names()).toEqual([rootFile(root)]);
  });
});

describe('a home', () => {
  const disk = (): string => join(folder, 'disk.ext4');
  const tool = async (program: string, ...words: string[]): Promise<string> =>
    (await run(program, words, { env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } })).stdout;

  test('is an empty file system for encrypted folders, of the size that it may have, with few blocks', async () => {
    // As a user has it who is not root.
    vi.stubEnv('PATH', '/usr/local/bin:/usr/bin:/bin');
    await engine.createHome(vmId, 4, never);
    expect(await names()).toEqual(['disk.ext4']);
    const { size, blocks, mode } = await stat(disk());
    expect([size, mode & 0o777]).toEqual([4 * gib, 0o600]);
    expect(blocks * 512).toBeLessThan(100_000_000);
    const told = await tool('dumpe2fs', '-h', disk());
    expect(told).toMatch(/^Filesystem volume name: +airlock-home$/m);
    expect(told).toMatch(/^Reserved block count: +0$/m);
    // All that Linux 4.4 and later mount.
    expect(/^Filesystem features: +(.*)$/m.exec(told)?.[1]?.split(' ').toSorted()).toEqual([
      ...['64bit', 'dir_index', 'dir_nlink', 'encrypt', 'ext_attr', 'extent', 'extra_isize', 'filetype', 'flex_bg'],
      ...['has_journal', 'huge_file', 'large_file', 'metadata_csum', 'resize_inode', 'sparse_super'],
    ]);
    await tool('e2fsck', '-f', '-n', disk());
  });

  test('that is there stays', async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(disk(), 'in use');
    await engine.createHome(vmId, 4, never);
    expect(await readFile(disk(), 'utf8')).toBe('in use');
  });

  test('whose controller was killed is made anew; one that is given up leaves nothing', async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(`${disk()}.partial`, 'half');
    await engine.createHome(vmId, 1, never);
    expect(await names()).toEqual(['disk.ext4']);
    await rm(disk());
    const given = new AbortController();
    const made = engine.createHome(vmId, 1, given.signal);
    given.abort(new Error('given up'));
    await expect(made).rejects.toThrow('given up');
    expect(await names()).toEqual([]);
  });

  test('grows for its guest, and never shrinks', async () => {
    await engine.createHome(vmId, 1, never);
    await engine.growHome(vmId, 3);
    await engine.growHome(vmId, 2);
    expect((await stat(disk())).size).toBe(3 * gib);
    // As the guest does.
    await tool('e2fsck', '-f', '-p', disk());
    await tool('resize2fs', disk());
    expect(await tool('dumpe2fs', '-h', disk())).toMatch(new RegExp(`^Block count: +${(3 * gib) / 4096}$`, 'm'));
  });

  test('that is gone is not made by growing', async () => {
    await mkdir(folder, { recursive: true });
    await expect(engine.growHome(vmId, 2)).rejects.toMatchObject({
      code: 'home_unusable',
      message: expect.stringContaining(disk()) as string,
    });
    expect(await names()).toEqual([]);
  });
});

describe('a host that lacks', () => {
  const namespace = ['unshare', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), '--mount'];
  const mayMount = async (): Promise<boolean> =>
    (await run('unshare', [...namespace.slice(1), 'true'], { okCodes: [0, 1] })).exitCode === 0;
  const createRoot = 'engine.createRoot(vmId, root, { low: true, signal })';
  const createHome = 'engine.createHome(vmId, 4, signal)';

  /** What a controller is told in a mount namespace of its own, with a tmpfs of this size over `covered`, and what it has left. */
  async function told(words: string, covered: string, size: string): Promise<unknown> {
    const mounts = `mount -t tmpfs -o size=${size} tmpfs "$0" && exec "$@"`;
    const controller = inController(words, [...namespace, '--propagation=private', 'sh', '-c', mounts, covered]);
    let text = '';
    controller.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(controller, 'close');
    return JSON.parse(text);
  }

  test.for([
    ['a root', createRoot, rootFile(root), '1.0 GiB'],
    ['a home', createHome, 'disk.ext4', '4.0 GiB'],
  ] as const)('room for %s', async ([, words, name, size], { skip }) => {
    if (!(await mayMount())) skip('This user may not mount a small disk.');
    await mkdir(folder, { recursive: true });
    await writeFile(rootfs, randomBytes(3_000_000));
    await truncate(rootfs, gib);
    const message = `${join(folder, name)} may become ${size} large; 0.0 GiB are free where it lies.`;
    expect(await told(words, folder, '1m')).toMatchObject({ code: 'disk_full', message, left: [] });
  });

  test('the program that makes file systems', async ({ skip }) => {
    if (!(await mayMount())) skip('This user may not cover a folder.');
    await mkdir(folder, { recursive: true });
    expect(await told(createHome, '/usr/sbin', '1m')).toMatchObject({
      code: 'host_unsupported',
      message: expect.stringMatching(/^No disk can be made for a CLI VM: mkfs.ext4 is not installed/) as string,
      hint: expect.stringContaining('e2fsprogs') as string,
      left: [],
    });
  });
});

describe('of the roots of a VM', () => {
  const other = { ...root, number: 2 };
  const files = [rootFile(root), rootFile(other), `${rootFile(root)}.partial`, 'disk.ext4', 'disk.ext4.partial'];
  const logs = ['serial.log', 'spec.json'];

  test.each([
    ['one is kept', [2], [rootFile(other)]],
    ['two are kept while one is proved', [1, 2], [rootFile(root), rootFile(other)]],
    ['none is kept that a VM has beside its home', [0], []],
  ])('%s, and nothing else is touched', async (_what, numbers, kept) => {
    await mkdir(folder, { recursive: true });
    for (const name of [...files, ...logs]) await writeFile(join(folder, name), name);
    await engine.keepRoots(vmId, numbers);
    expect(await names()).toEqual([...kept, 'disk.ext4', 'disk.ext4.partial', ...logs].toSorted());
    await engine.keepRoots(vmId, numbers);
    expect(await names()).toHaveLength(kept.length + 4);
  });

  test('there may be none', async () => {
    await engine.keepRoots(vmId, [1]);
    expect(await engine.lost(new Set())).toEqual([]);
  });
});
