/** Conformance of a driver whose VMM is locked up by the privileged helper: what it may be and see. */
import { mkdtemp, readdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { namespaceOf } from '@airlock/contract/privileged';
import { isRunning, run } from '@airlock/contract/process';
import { runnerFiles } from '@airlock/contract/runner';
import { tinyKernel, tinyRootDisk } from '@airlock/runner/fixtures/tiny-guest';
import { until } from '../../support/poll.js';
import { describeEach, useTinyVms } from './suite.js';
import { findOffers, patienceMs } from './tiny-vm.js';

const tiny = useTinyVms();

const offers = (await findOffers()).filter(({ network }) => network === 'netns');

/** Root folders that a jailer makes, which hold the VMM's files by name. */
const roots: Readonly<Record<string, string[]>> = {
  firecracker: [
    ...['api.sock', 'dev', 'drive-config', 'drive-root', 'firecracker', 'firecracker.pid', 'initrd.img', 'log.fifo'],
    ...['metrics.fifo', 'run', 'serial.fifo', 'vmlinux'],
  ],
};

describeEach(offers, (offer) => {
  it('is a user of its own, without any privilege, in the namespace of its VM, with its files and no other', async () => {
    const made = await tiny.standing(offer);
    const { pid } = made.vmm;
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const field = (name: string): string[] =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
    const [uid = ''] = field('Uid');
    expect(Number(uid)).toBeGreaterThanOrEqual(70000);
    expect([...field('Uid'), ...field('Gid')]).toEqual(Array.from({ length: 8 }, () => uid));
    expect([field('Groups'), field('NoNewPrivs')]).toEqual([[''], ['1']]);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(field(set), set).toEqual(['0'.repeat(16)]);
    // What a jailer has needed may not be given up by it, and cannot be had again.
    if (roots[offer.driver] === undefined) expect(field('CapBnd')).toEqual(['0'.repeat(16)]);
    else expect(field('Seccomp')).toEqual(['2']);

    const namespace = namespaceOf(made.spec.vmId);
    expect((await run('ip', ['netns', 'identify', String(pid)])).stdout.trim()).toBe(namespace);
    for (const kind of ['mnt', 'pid', 'ipc', 'uts']) {
      expect(await readlink(`/proc/${pid}/ns/${kind}`), kind).not.toBe(await readlink(`/proc/self/ns/${kind}`));
    }
    const found = (await readdir(`/proc/${pid}/root`)).toSorted();
    expect(found).toEqual(roots[offer.driver] ?? ['dev', 'etc', 'lib', 'lib64', 'proc', 'usr']);
    if (found.includes('etc')) expect(await readdir(`/proc/${pid}/root/etc`)).toEqual(['ld.so.cache']);
    const names = await readdir(`/proc/${pid}/fd`);
    const open = await Promise.all(names.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    const drives = made.spec.drives.map(({ path }) => path);
    const own = [
      made.spec.kernel,
      made.spec.initrd,
      ...drives,
      ...(roots[offer.driver] ?? []).map((name) => `/${name}`),
    ];
    const files = open.filter((path) => path.startsWith('/') && !/^\/(dev|memfd)/.test(path));
    expect(files.filter((path) => !own.includes(path) && !path.startsWith(made.spec.secretFolder))).toEqual([]);
  });

  it('has limits of memory and processes', async () => {
    const made = await tiny.standing(offer);
    const { pid } = made.vmm;
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8');
    const limitOf = async (controller: string, v1: string, v2: string): Promise<string> => {
      const path = new RegExp(`^\\d+:${controller}:(.*)$`, 'm').exec(groups)?.[1];
      if (path?.includes('airlock')) return readFile(`/sys/fs/cgroup/${controller}${path}/${v1}`, 'utf8');
      return readFile(`/sys/fs/cgroup${/^0::(.*)$/m.exec(groups)?.[1]}/${v2}`, 'utf8');
    };
    const bytes = (made.spec.memoryMib + 1024) * 1024 * 1024;
    expect(Number(await limitOf('memory', 'memory.limit_in_bytes', 'memory.max'))).toBe(bytes);
    expect(Number(await limitOf('pids', 'pids.max', 'pids.max'))).toBe(512);
  });

  it('ends with a helper that is killed, before anybody looks for what it left', async () => {
    const made = await tiny.standing(offer);
    const helpers = await made.helper?.serving();
    expect(helpers).toHaveLength(1);
    process.kill(helpers?.[0] ?? 0, 'SIGKILL');
    await until('the VMM to end', async () => !(await isRunning(made.vmm)), { timeoutMs: patienceMs });
    expect(await made.exitCode()).toBe(1);
    await made.helper?.sweep();
  });
});

it('a disk that one VMM has written is the runners’ still, and the next one starts with it', async ({ skip }) => {
  const usable = offers.filter((offer) => offer.skip === null);
  if (usable.length < 2) skip('It takes two drivers that lock their VMMs up.');
  const disk = await mkdtemp(join(tmpdir(), 'airlock-d-disk-'));
  try {
    await writeFile(join(disk, 'disk'), tinyRootDisk(), { mode: 0o600 });
    for (const offer of [...usable, ...usable]) {
      const made = await tiny.make(offer, tinyKernel('standing', 'halt'), ({ vmId, drives, kernel }) => {
        const path = homePaths(dirname(dirname(dirname(kernel)))).vmFile(vmId, 'disk');
        return { kind: 'cli', drives: [...drives, { id: 'home', path, readOnly: false }] };
      });
      const path = join(made.folder, runnerFiles.disk);
      await rename(join(disk, 'disk'), path);
      made.start();
      await made.untilConsole('standing');
      await made.stop(0);
      expect([await made.exitCode(), (await stat(path)).uid]).toEqual([0, process.getuid?.()]);
      await rename(path, join(disk, 'disk'));
    }
  } finally {
    await rm(disk, { recursive: true });
  }
});
