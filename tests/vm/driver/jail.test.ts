/** Conformance of a driver whose VMM is locked up by the privileged helper: what it may be and see. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { namespaceOf } from '@airlock/contract/privileged';
import { run } from '@airlock/contract/process';
import { describeEach, useTinyVms } from './suite.js';
import { findOffers } from './tiny-vm.js';

const tiny = useTinyVms();

// Firecracker is not locked up yet, and runs no VM but those of tests.
const offers = (await findOffers()).filter(({ driver, network }) => network === 'netns' && driver !== 'firecracker');

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
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(field(set), set).toEqual(['0'.repeat(16)]);

    const namespace = namespaceOf(made.spec.vmId);
    expect((await run('ip', ['netns', 'identify', String(pid)])).stdout.trim()).toBe(namespace);
    for (const kind of ['mnt', 'pid', 'ipc', 'uts']) {
      expect(await readlink(`/proc/${pid}/ns/${kind}`), kind).not.toBe(await readlink(`/proc/self/ns/${kind}`));
    }
    expect((await readdir(`/proc/${pid}/root`)).toSorted()).toEqual(['dev', 'etc', 'lib', 'lib64', 'proc', 'usr']);
    expect(await readdir(`/proc/${pid}/root/etc`)).toEqual(['ld.so.cache']);
    const names = await readdir(`/proc/${pid}/fd`);
    const open = await Promise.all(names.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    const own = [made.spec.kernel, made.spec.initrd, ...made.spec.drives.map(({ path }) => path)];
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
});
