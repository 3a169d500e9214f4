/**
 * What Firecracker's driver does besides the conformance suite: the real program with the tiny guest, in a network namespace that the
 * test makes. See docs/adding-a-driver.md.
 */
/* oxlint-disable max-lines -- what a VM is made of stands here once, for all that is done to it */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { access, constants, mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeSlot } from '@airlock/contract/config-drive';
import { AppError } from '@airlock/contract/errors';
import { GuestHealth, guestNetwork, guestPorts } from '@airlock/contract/guest';
import { imageFiles } from '@airlock/contract/image';
import { isRunning, run } from '@airlock/contract/process';
import { runProbe } from '@airlock/contract/run-probe';
import type { ProcessIdentity } from '@airlock/contract/runner';
import { tinyKernel, tinyRootDisk, watchingKernel, watchWords } from '@airlock/runner/fixtures/tiny-guest';
import type { Freezing, SavedVm, Vmm, VmmOptions } from '@airlock/runner/vmm/driver';
import { firecrackerDriver } from '@airlock/runner/vmm/firecracker/driver';
import { kernelArguments } from '@airlock/runner/vmm/kernel-arguments';
import { firecrackerBinaries } from '../../support/firecracker-binaries.js';
import { createTestHome } from '../../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../../support/leaks.js';
import { until } from '../../support/poll.js';
import { guestConfigOf, patienceMs, runnerMain } from './tiny-vm.js';

const vmId = 'vm_0123456789abcdef';
const namespace = `airlock-d-${process.pid}`;
const taps = ['tap0', 'tap1'] as const;
const never = new AbortController().signal;
const skipReason = await whyNot();

async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'Only root can make a network namespace.';
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => null,
    () => '/dev/kvm cannot be opened.',
  );
}

let usualPath: string;
let before: Snapshot;
/** What the VMs of one test have: all below it. */
let root: string;
let vms: Vmm[];

const ip = (...words: string[]): Promise<unknown> => run('ip', words);

beforeAll(async () => {
  if (skipReason !== null) return;
  const { firecracker } = await firecrackerBinaries();
  usualPath = process.env['PATH'] ?? '';
  process.env['PATH'] = `${dirname(firecracker)}:${usualPath}`;
  await ip('netns', 'add', namespace);
  for (const tap of taps) await ip('-n', namespace, 'tuntap', 'add', tap, 'mode', 'tap');
  await ip('-n', namespace, 'address', 'add', `${guestNetwork.gatewayHost}/24`, 'dev', taps[0]);
  await ip('-n', namespace, 'link', 'set', taps[0], 'up');
}, 180_000);

afterAll(async () => {
  if (skipReason !== null) return;
  process.env['PATH'] = usualPath;
  await ip('netns', 'delete', namespace);
});

beforeEach(async ({ skip }) => {
  if (skipReason !== null) skip(skipReason);
  before = await takeSnapshot({ home: join(tmpdir(), 'airlock-d-'), names: /airlock-d-/ });
  root = await mkdtemp(join(tmpdir(), 'airlock-d-, '));
  vms = [];
});

afterEach(async () => {
  if (skipReason !== null) return;
  await Promise.all(vms.map((vm) => vm.kill()));
  await rm(root, { recursive: true });
  await untilNoLeaks(before, patienceMs);
});

interface Tiny extends VmmOptions {
  /** What its guest wrote, once `text` is among it. */
  untilConsole(text: string): Promise<string>;
  console(): string;
  configDrive: string;
}

/** A VM that is not powered on yet, in a folder of its own. */
async function tiny(kernel: Buffer, change: Partial<VmmOptions> = {}): Promise<Tiny> {
  const place = await mkdtemp(join(root, 'vm-'));
  const at = (name: string): string => join(place, name);
  await mkdir(at('folder'));
  await writeFile(at('vmlinux'), kernel);
  await writeFile(at('initrd.img'), 'no initrd');
  await writeFile(at('rootfs.ext4'), tinyRootDisk());
  await writeGeneration(at('config'), 1);
  let [written, messages] = ['', ''];
  return {
    ...{
      vmId,
      accel: 'kvm',
      cpus: 1,
      memoryMib: 64,
      tscKhz: null,
      folder: at('folder'),
      kernelArguments: 'console=ttyS0',
    },
    ...{ kernel: at('vmlinux'), initrd: at('initrd.img'), configDrive: at('config') },
    drives: [
      { id: 'root', path: at('rootfs.ext4'), readOnly: true },
      { id: 'config', path: at('config'), readOnly: true },
    ],
    network: { type: 'tap', namespace, name: taps[0], mac: '02:00:00:00:00:01' },
    onSerial: (chunk) => void (written += chunk.toString('latin1')),
    onMessage: (chunk) => void (messages += chunk.toString('latin1')),
    lastMessages: () => messages.trim(),
    console: () => written,
    untilConsole: (text) =>
      until(`the guest to write "${text}"`, () => Promise.resolve(written.includes(text) ? written : undefined), {
        timeoutMs: patienceMs,
        intervalMs: 5,
        explain: () => Promise.resolve(`${written}\n${messages}`),
      }),
    ...change,
  };
}

async function start(vm: VmmOptions): Promise<Vmm> {
  const vmm = await firecrackerDriver.start(vm, never);
  vms.push(vmm);
  return vmm;
}

async function load(vm: VmmOptions, saved: SavedVm): Promise<Vmm> {
  if (!firecrackerDriver.load) throw new Error('The driver loads nothing.');
  const vmm = await firecrackerDriver.load(vm, saved, never);
  vms.push(vmm);
  return vmm;
}

function freezingOf({ freezing }: Vmm): Freezing {
  if (!freezing) throw new Error('The VM cannot be paused.');
  return freezing;
}

/** Into its slot; the file is made where it is missing. */
async function writeGeneration(path: string, generation: number): Promise<void> {
  const { offset, bytes } = encodeSlot({ generation, config: guestConfigOf({ vmId, kind: 'browser' }) });
  const drive = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    if ((await drive.stat()).size === 0) await drive.truncate(1024 * 1024);
    await drive.write(bytes, 0, bytes.length, offset);
  } finally {
    await drive.close();
  }
}

const saw = (generation: number): string => `${watchWords.finds}0000000${generation}`;

describe('a VM', () => {
  it('is heard from the first letter on, and leaves nothing when it is killed', async () => {
    const vm = await tiny(tinyKernel('a line\nand another', 'halt'));
    const vmm = await start(vm);
    expect(await vm.untilConsole('another\n')).toBe('a line\nand another\n');
    expect([await isRunning(vmm.identity), [...vmm.forwards]]).toEqual([true, []]);
    await vmm.kill();
    expect(await vmm.exited).toMatchObject({ by: 'fault', error: { message: expect.stringContaining('SIGKILL') } });
    expect([await isRunning(vmm.identity), await readdir(vm.folder)]).toEqual([false, []]);
    await vmm.kill();
  });

  it('finds its config drive among several, and what is written to it while it runs', async () => {
    const vm = await tiny(watchingKernel());
    const more = vm.drives.map((drive) => ({ ...drive, id: `${drive.id}-2`, readOnly: false }));
    await start({ ...vm, drives: [...more, ...vm.drives] });
    await vm.untilConsole(saw(1));
    for (const generation of [2, 3]) {
      await writeGeneration(vm.configDrive, generation);
      expect(await vm.untilConsole(saw(generation))).not.toContain(watchWords.misses);
    }
  });

  it.each(['panic', 'reset'] as const)('ends by its guest’s %s, at power-on or later', async (end) => {
    for (const generation of [1, 2]) {
      const vm = await tiny(watchingKernel({ generation, end }));
      const vmm = await start(vm);
      if (generation === 2) {
        await vm.untilConsole(saw(1));
        await writeGeneration(vm.configDrive, 2);
      }
      expect(await vmm.exited).toEqual({ by: 'guest' });
      expect(vm.console()).toContain(saw(generation));
      expect(await readdir(vm.folder)).toEqual([]);
    }
  });

  it('ends with the process that started it, whose folder another one takes over', async () => {
    const vm = await tiny(tinyKernel('standing', 'halt'));
    const script = `
      import { firecrackerDriver } from ${JSON.stringify(import.meta.resolve('@airlock/runner/vmm/firecracker/driver'))};
      const quiet = { onSerial() {}, onMessage() {}, lastMessages: () => '' };
      const vmm = await firecrackerDriver.start({ ...${JSON.stringify(vm)}, ...quiet }, new AbortController().signal);
      process.stdout.write(JSON.stringify(vmm.identity));
      setInterval(() => {}, 60_000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(owner.stdout, 'data')) as [Buffer];
    const identity = JSON.parse(said.toString()) as ProcessIdentity;
    expect(await isRunning(identity)).toBe(true);
    owner.kill('SIGKILL');
    await until('the VMM to end', async () => !(await isRunning(identity)), { timeoutMs: patienceMs });
    expect(await readdir(vm.folder)).toEqual(['fc']);
    await (await start(vm)).kill();
    expect(await readdir(vm.folder)).toEqual([]);
  });
});

describe('a saved VM', () => {
  /** One that has seen generation 1, and was saved; its files. */
  async function save(): Promise<{ original: Tiny; freezing: Freezing; saved: SavedVm; ms: number }> {
    const original = await tiny(watchingKernel());
    // The first one: Firecracker looks again at every drive that the guest has begun, and this guest begins all with the same queue.
    const drives = original.drives.toReversed();
    const freezing = freezingOf(await start({ ...original, drives }));
    await original.untilConsole(saw(1));
    const saved = { state: join(root, 'saved.state'), memory: join(root, 'saved.memory') };
    await freezing.pause();
    const begin = performance.now();
    await freezing.save(saved);
    return { original, freezing, saved, ms: performance.now() - begin };
  }
  const copy = (): Promise<Tiny> =>
    tiny(Buffer.alloc(0), { network: { type: 'tap', namespace, name: taps[1], mac: '02:00:00:00:00:01' } });

  it('goes on where it stood, beside the one that it was saved from, with drives and tap of its own', async () => {
    const { original, freezing, saved, ms } = await save();
    for (const path of Object.values(saved)) expect((await stat(path)).mode & 0o777).toBe(0o600);
    await writeGeneration(original.configDrive, 2);
    const other = await copy();
    await writeGeneration(other.configDrive, 3);
    const begin = performance.now();
    const loaded = await load(other, saved);
    const loadMs = performance.now() - begin;
    expect([original.console().includes(saw(2)), other.console()]).toEqual([false, '']);
    await freezingOf(loaded).resume();
    await freezing.resume();
    await original.untilConsole(saw(2));
    expect(await other.untilConsole(saw(3))).toBe(`${saw(3)}\n`);
    process.stdout.write(`saved in ${Math.round(ms)} ms, loaded in ${Math.round(loadMs)} ms\n`);
  });

  it('sees another file that is put behind its drive', async () => {
    const { saved } = await save();
    const other = await copy();
    const freezing = freezingOf(await load(other, saved));
    const another = join(root, 'another');
    await writeGeneration(another, 5);
    await freezing.changeDrive('config', another);
    await freezing.resume();
    expect(await other.untilConsole('\n')).toBe(`${saw(5)}\n`);
  });

  it('that is damaged leaves nothing, and does not harm the next one', async () => {
    const { saved } = await save();
    const damaged = { ...saved, state: join(root, 'damaged.state') };
    await writeFile(damaged.state, 'no state');
    const other = await copy();
    await expect(load(other, damaged)).rejects.toMatchObject({
      code: 'vmm_failed',
      message: expect.stringContaining('PUT /snapshot/load'),
    });
    expect(await readdir(other.folder)).toEqual([]);
    await freezingOf(await load(other, saved)).resume();
    await writeGeneration(other.configDrive, 4);
    await other.untilConsole(saw(4));
  });

  it('is not overwritten by another one', async () => {
    const { freezing, saved } = await save();
    await expect(freezing.save(saved)).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await stat(saved.memory)).size).toBe(64 * 1024 ** 2);
  });

  it('leaves no half file where it cannot be saved: the VM runs, or the second file is there', async () => {
    const { freezing, saved } = await save();
    const again = { state: `${saved.state}.2`, memory: `${saved.memory}.2` };
    await freezing.resume();
    await expect(freezing.save(again)).rejects.toMatchObject({
      code: 'vmm_failed',
      message: expect.stringContaining('PUT /snapshot/create'),
    });
    await freezing.pause();
    await expect(freezing.save({ ...again, memory: saved.memory })).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await readdir(root)).filter((name) => name.endsWith('.2'))).toEqual([]);
    await freezing.save(again);
  });
});

describe('the golden image', () => {
  const bootMs = 300_000;

  /** What the guest's agent answers, asked from the namespace. */
  async function ask(method: 'GET' | 'POST', path: string): Promise<string> {
    const { agentToken } = guestConfigOf({ vmId, kind: 'browser' });
    const url = `http://${guestNetwork.address}:${guestPorts.agent}${path}`;
    const words = ['--silent', '--fail', '--max-time', '60', '--request', method, '--oauth2-bearer', agentToken, url];
    return (await run('ip', ['netns', 'exec', namespace, 'curl', ...words])).stdout;
  }
  const health = async (): Promise<GuestHealth> => GuestHealth.parse(JSON.parse(await ask('GET', '/health')));
  function untilHealth(what: string, wanted: (found: GuestHealth) => boolean, vm: Tiny): Promise<GuestHealth> {
    const look = async (): Promise<GuestHealth | undefined> => {
      const found = await health().catch(() => undefined);
      return found && wanted(found) ? found : undefined;
    };
    const explain = (): Promise<string> => Promise.resolve(vm.console().slice(-2000));
    return until(what, look, { timeoutMs: bootMs, intervalMs: 500, explain });
  }

  it(
    'comes up to its desktop, is saved and loaded with another configuration, and ends when its agent is asked to switch it off',
    async ({ skip }) => {
      const { kvm } = await runProbe({ program: runnerMain });
      if (!kvm.usable) skip(`It needs KVM that can carry Linux. ${kvm.reason}`);
      const home = await createTestHome();
      try {
        const at = (file: string): string => join(home.image, file);
        const files = { kernel: at(imageFiles.kernel), initrd: at(imageFiles.initrd) };
        const linux = { ...files, cpus: 2, memoryMib: 2048, kernelArguments: kernelArguments('browser') };
        const root = { id: 'root', path: at(imageFiles.rootfs), readOnly: true };
        const made = await tiny(Buffer.alloc(0), linux);
        const vm = { ...made, drives: [root, { id: 'config', path: made.configDrive, readOnly: true }] };
        const begin = performance.now();
        const first = await start(vm);
        expect(await untilHealth('the desktop', ({ ready }) => ready, vm)).toMatchObject({
          generation: 1,
          error: null,
        });
        const bootedMs = performance.now() - begin;

        const saved = { state: join(home.path, 'state'), memory: join(home.path, 'memory') };
        await freezingOf(first).pause();
        await freezingOf(first).save(saved);
        await first.kill();
        const other = await tiny(Buffer.alloc(0), linux);
        await writeGeneration(other.configDrive, 2);
        const since = performance.now();
        const drives = [root, { id: 'config', path: other.configDrive, readOnly: true }];
        const second = await load({ ...other, drives }, saved);
        await freezingOf(second).resume();
        await untilHealth('the loaded VM', () => true, other);
        const loadedMs = performance.now() - since;
        await ask('POST', '/config/reload');
        expect(await health()).toMatchObject({ generation: 2, error: null });

        await ask('POST', '/power-off');
        expect(await second.exited).toEqual({ by: 'guest' });
        expect(other.console()).toContain('reboot: Restarting system');
        process.stdout.write(`desktop after ${Math.round(bootedMs)} ms, loaded in ${Math.round(loadedMs)} ms\n`);
      } finally {
        await home.remove();
      }
    },
    3 * bootMs,
  );
});

describe('what cannot be started is told, and leaves nothing', () => {
  const halt = tinyKernel('', 'halt');
  const other = { id: 'home', path: '/nowhere/disk.ext4', readOnly: false };

  it.each([
    [
      'host_unsupported',
      '"user"',
      () => ({ network: { type: 'user', forwards: [], gatewaySocket: '/e.sock' } as const }),
    ],
    ['vmm_failed', 'memory', () => ({ memoryMib: 1024 * 1024 })],
    ['vmm_failed', '/nowhere/vmlinux', () => ({ kernel: '/nowhere/vmlinux' })],
    ['kernel_unusable', 'no 64-bit ELF', ({ initrd }) => ({ kernel: initrd })],
    ['drive_unusable', '/nowhere/disk.ext4', ({ drives }) => ({ drives: [...drives, other] })],
    [
      'vmm_failed',
      '"nowhere"',
      ({ network }) => ({ network: { ...network, namespace: 'nowhere' } as VmmOptions['network'] }),
    ],
  ] as [string, string, (vm: Tiny) => Partial<VmmOptions>][])('%s: %s', async (code, words, change) => {
    const vm = await tiny(halt);
    await expect(firecrackerDriver.start({ ...vm, ...change(vm) }, never)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
    expect(await readdir(vm.folder)).toEqual([]);
  });

  it('path_too_long: a socket in a deep folder', async () => {
    const vm = await tiny(halt);
    const folder = join(vm.folder, 'x'.repeat(100));
    await mkdir(folder);
    await expect(firecrackerDriver.start({ ...vm, folder }, never)).rejects.toMatchObject({ code: 'path_too_long' });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['vmm_missing', null],
    ['vmm_unsuitable', 'Firecracker v1.9.1'],
    ['vmm_unsuitable', 'something else'],
  ])('%s: a program that says %s', async (code, says) => {
    const vm = await tiny(halt);
    const bin = join(root, 'bin');
    await mkdir(bin);
    if (says !== null) await writeFile(join(bin, 'firecracker'), `#!/bin/sh\necho ${says}\n`, { mode: 0o755 });
    const path = process.env['PATH'];
    process.env['PATH'] = `${bin}:${usualPath}`;
    try {
      await expect(firecrackerDriver.start(vm, never)).rejects.toMatchObject({ code });
    } finally {
      process.env['PATH'] = path;
    }
    expect(await readdir(vm.folder)).toEqual([]);
  });

  it('what nobody wants any more, before it began and while it begins', async () => {
    const vm = await tiny(halt);
    const reason = new AppError('aborted', 'not wanted');
    await expect(firecrackerDriver.start(vm, AbortSignal.abort(reason))).rejects.toThrow('not wanted');
    const begun = new AbortController();
    const watcher = watch(vm.folder, () => begun.abort(reason));
    try {
      await expect(firecrackerDriver.start(vm, begun.signal)).rejects.toThrow('not wanted');
    } finally {
      watcher.close();
    }
    expect(await readdir(vm.folder)).toEqual([]);
  });
});
