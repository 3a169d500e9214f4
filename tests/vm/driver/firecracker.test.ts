/**
 * What Firecracker's driver does besides the conformance suite: the real program with the tiny guest, locked up by a privileged helper of
 * the test. See docs/adding-a-driver.md.
 */
import {
  access,
  constants,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootLimits, longestBootMs } from '@airlock/contract/capacity';
import { encodeSlot } from '@airlock/contract/config-drive';
import { AppError } from '@airlock/contract/errors';
import { GuestHealth } from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { imageFiles } from '@airlock/contract/image';
import { secretFolderOf } from '@airlock/contract/memory-folder';
import { run } from '@airlock/contract/process';
import { bootBoundOf } from '@airlock/contract/runner';
import { tinyKernel, tinyRootDisk, watchingKernel, watchWords } from '@airlock/runner/fixtures/tiny-guest';
import { attachNamespace } from '@airlock/runner/network/netns';
import type { Network } from '@airlock/runner/network/network';
import type { Freezing, SavedVm, Vmm, VmmOptions } from '@airlock/runner/vmm/driver';
import { firecrackerDriver } from '@airlock/runner/vmm/firecracker/driver';
import { kernelArguments } from '@airlock/runner/vmm/kernel-arguments';
import { firecrackerBinaries } from '../../support/firecracker-binaries.js';
import { createTestHome } from '../../support/home.js';
import { probeHost } from '../../support/host-probe.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../../support/leaks.js';
import { until } from '../../support/poll.js';
import { helperSkip, listenAsHelper, type ListeningHelper } from '../../support/privileged-helper.js';
import { guestConfigOf, patienceMs } from './tiny-vm.js';

const never = new AbortController().signal;
const skipReason = await whyNot();

async function whyNot(): Promise<string | null> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(helperSkip, () => '/dev/kvm cannot be opened.');
}

let before: Snapshot;
/** The home of the VMs of one test. */
let home: string;
let helper: ListeningHelper;
let networks: Network[];

beforeEach(async ({ skip }) => {
  if (skipReason !== null) skip(skipReason);
  before = await takeSnapshot({ home: join(tmpdir(), 'airlock-d-'), names: /airlock-d-/ });
  home = await mkdtemp(join(tmpdir(), 'airlock-d-'));
  helper = await listenAsHelper(home);
  networks = [];
});

afterEach(async () => {
  if (skipReason !== null) return;
  await Promise.all(networks.map((network) => network.detach()));
  await helper.close();
  await rm(home, { recursive: true });
  await untilNoLeaks(before, patienceMs);
});

interface Tiny extends VmmOptions {
  /** What its guest wrote, once `text` is among it. */
  untilConsole(text: string): Promise<string>;
  console(): string;
  configDrive: string;
  attached: Network;
}

/** A VM that is not powered on yet, on a network of its own. */
async function tiny(kernel: Buffer, change: Partial<VmmOptions> = {}, by = helper): Promise<Tiny> {
  const vmId = newId('vm');
  const image = homePaths(home).images.image(`img_${vmId.slice(3)}`);
  const at = (name: string): string => join(image, name);
  const configDrive = join(secretFolderOf(home, home, vmId), `${vmId}.config`);
  for (const folder of [image, homePaths(home).vm(vmId), dirname(configDrive)])
    await mkdir(folder, { recursive: true });
  await writeFile(at(imageFiles.kernel), kernel);
  await writeFile(at(imageFiles.initrd), 'no initrd');
  await writeFile(at(imageFiles.rootfs), tinyRootDisk());
  await writeGeneration(configDrive, 1);
  const attached = await attachNamespace({ vmId, desktop: true, helperSocket: by.socket });
  networks.push(attached);
  let [written, messages] = ['', ''];
  return {
    ...{
      vmId,
      accel: 'kvm',
      cpus: 1,
      memoryMib: 64,
      tscKhz: null,
      kernelArguments: 'console=ttyS0',
      configDrive,
      attached,
    },
    ...{ folder: homePaths(home).vm(vmId), kernel: at(imageFiles.kernel), initrd: at(imageFiles.initrd) },
    drives: [
      { id: 'root', path: at(imageFiles.rootfs), readOnly: true },
      { id: 'config', path: configDrive, readOnly: true },
    ],
    network: attached.device,
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

const start = (vm: VmmOptions): Promise<Vmm> => firecrackerDriver.start(vm, never);

async function load(vm: VmmOptions, saved: SavedVm): Promise<Vmm> {
  if (!firecrackerDriver.load) throw new Error('The driver loads nothing.');
  return firecrackerDriver.load(vm, saved, never);
}

function freezingOf({ freezing }: Vmm): Freezing {
  if (!freezing) throw new Error('The VM cannot be paused.');
  return freezing;
}

/** Into its slot; the file is made where it is missing. */
async function writeGeneration(path: string, generation: number): Promise<void> {
  const { offset, bytes } = encodeSlot({ generation, config: guestConfigOf({ vmId: newId('vm'), kind: 'browser' }) });
  const drive = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    if ((await drive.stat()).size === 0) await drive.truncate(1024 * 1024);
    await drive.write(bytes, 0, bytes.length, offset);
  } finally {
    await drive.close();
  }
}

const saw = (generation: number): string => `${watchWords.finds}0000000${generation}`;

function newSaved(): SavedVm {
  const id = newId('sav');
  return { state: homePaths(home).savedFile(id, 'state'), memory: homePaths(home).savedFile(id, 'memory') };
}

describe('a saved VM', () => {
  /** One that has seen generation 1, and was saved; its files. */
  async function save(): Promise<{ original: Tiny; vmm: Vmm; saved: SavedVm; ms: number }> {
    const original = await tiny(watchingKernel());
    const saveAs = newSaved();
    // The first one: Firecracker looks again at every drive that the guest has begun, and this guest begins all with the same queue.
    const drives = original.drives.toReversed();
    const vmm = await start({ ...original, drives, saveAs });
    const freezing = freezingOf(vmm);
    await original.untilConsole(saw(1));
    await vmm.pause();
    const begin = performance.now();
    await freezing.save();
    return { original, vmm, saved: saveAs, ms: performance.now() - begin };
  }

  it('goes on where it stood, in another jail beside the one that it was saved from, with drives and tap of its own', async () => {
    const { original, vmm, saved, ms } = await save();
    expect((await stat(saved.memory)).size).toBe(64 * 1024 ** 2);
    for (const path of Object.values(saved)) expect((await stat(path)).uid).toBe(process.getuid?.());
    expect((await stat(dirname(saved.state))).mode & 0o777).toBe(0o700);
    await writeGeneration(original.configDrive, 2);
    const other = await tiny(Buffer.alloc(0));
    await writeGeneration(other.configDrive, 3);
    const begin = performance.now();
    const loaded = await load(other, saved);
    const loadMs = performance.now() - begin;
    expect([original.console().includes(saw(2)), other.console()]).toEqual([false, '']);
    await loaded.resume();
    await vmm.resume();
    await original.untilConsole(saw(2));
    expect(await other.untilConsole(saw(3))).toBe(`${saw(3)}\n`);
    process.stdout.write(`saved in ${Math.round(ms)} ms, loaded in ${Math.round(loadMs)} ms\n`);
  });

  it('can be loaded twice at a time, and looks at a drive again', async () => {
    const { vmm, saved } = await save();
    await vmm.kill();
    const two = await Promise.all([tiny(Buffer.alloc(0)), tiny(Buffer.alloc(0))]);
    const loaded = await Promise.all(two.map((vm) => load(vm, saved)));
    for (const [index, vm] of two.entries()) {
      await writeGeneration(vm.configDrive, 5 + index);
      const again = loaded[index] ?? vmm;
      await freezingOf(again).refreshDrive('config');
      await again.resume();
      expect(await vm.untilConsole('\n')).toBe(`${saw(5 + index)}\n`);
    }
  });

  it('that is damaged leaves nothing, and does not harm the next one', async () => {
    const { saved } = await save();
    const state = await readFile(saved.state);
    await writeFile(saved.state, 'no state');
    await expect(load(await tiny(Buffer.alloc(0)), saved)).rejects.toMatchObject({
      code: 'vmm_failed',
      message: expect.stringContaining('PUT /snapshot/load'),
    });
    await writeFile(saved.state, state);
    const other = await tiny(Buffer.alloc(0));
    await (await load(other, saved)).resume();
    await writeGeneration(other.configDrive, 4);
    await other.untilConsole(saw(4));
  });

  it('is not overwritten by another one', async () => {
    const { saved } = await save();
    const other = await tiny(watchingKernel());
    await expect(start({ ...other, saveAs: saved })).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await stat(saved.memory)).size).toBe(64 * 1024 ** 2);
  });

  it('is none where the VM runs, or was started for something else', async () => {
    const [vm, other] = [await tiny(watchingKernel()), await tiny(watchingKernel())];
    const vmm = await start({ ...vm, saveAs: newSaved() });
    const freezing = freezingOf(vmm);
    await expect(freezing.save()).rejects.toMatchObject({
      code: 'vmm_failed',
      message: expect.stringContaining('PUT /snapshot/create'),
    });
    await vmm.pause();
    await freezing.save();
    await expect(freezingOf(await start(other)).save()).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('leaves no file where the VM does not start', async () => {
    const vm = await tiny(watchingKernel());
    const saveAs = newSaved();
    await writeFile(vm.kernel, '\x7fELF\x02 and nothing more', 'latin1');
    await expect(start({ ...vm, saveAs })).rejects.toMatchObject({ code: 'vmm_failed' });
    expect(await readdir(dirname(saveAs.state))).toEqual([]);
  });
});

describe('the golden image', () => {
  let bootMs: number;

  /** What the guest's agent answers, asked by its relay. */
  async function ask({ attached, vmId }: Tiny, method: 'GET' | 'POST', path: string): Promise<string> {
    attached.poweredOn(new Map());
    const address = attached.dial('agent');
    if (!('path' in address)) throw new Error('The agent has no socket.');
    const { agentToken } = guestConfigOf({ vmId, kind: 'browser' });
    const limits = ['--silent', '--fail', '--max-time', '60', '--unix-socket', address.path];
    return (await run('curl', [...limits, '--request', method, '--oauth2-bearer', agentToken, `http://vm${path}`]))
      .stdout;
  }
  const health = async (vm: Tiny): Promise<GuestHealth> =>
    GuestHealth.parse(JSON.parse(await ask(vm, 'GET', '/health')));
  function untilHealth(what: string, wanted: (found: GuestHealth) => boolean, vm: Tiny): Promise<GuestHealth> {
    const look = async (): Promise<GuestHealth | undefined> => {
      const found = await health(vm).catch(() => undefined);
      return found && wanted(found) ? found : undefined;
    };
    const explain = (): Promise<string> => Promise.resolve(vm.console().slice(-2000));
    return until(what, look, { timeoutMs: bootMs, intervalMs: 500, explain });
  }

  it(
    'comes up to its desktop, is saved and loaded with another configuration, and ends when its agent is asked to switch it off',
    async ({ skip }) => {
      const { kvm, countMs } = await probeHost();
      if (!kvm.usable) skip(`It needs KVM that can carry Linux. ${kvm.reason}`);
      bootMs = bootBoundOf(bootLimits({ accel: 'kvm', countMs }));
      const images = await createTestHome();
      try {
        const image = homePaths(home).images.image(basename(images.image));
        await mkdir(dirname(image), { recursive: true });
        await symlink(images.image, image);
        const at = (file: string): string => join(image, file);
        const files = { kernel: at(imageFiles.kernel), initrd: at(imageFiles.initrd) };
        const linux = { ...files, cpus: 2, memoryMib: 2048, kernelArguments: kernelArguments('browser') };
        const root = { id: 'root', path: at(imageFiles.rootfs), readOnly: true };
        const vm = await tiny(Buffer.alloc(0), linux);
        const saved = newSaved();
        const drivesOf = ({ configDrive: path }: Tiny): VmmOptions['drives'] => [
          root,
          { id: 'config', path, readOnly: true },
        ];
        const begin = performance.now();
        const first = await start({ ...vm, drives: drivesOf(vm), saveAs: saved });
        expect(await untilHealth('the desktop', ({ ready }) => ready, vm)).toMatchObject({
          generation: 1,
          error: null,
        });
        const bootedMs = performance.now() - begin;

        await first.pause();
        await freezingOf(first).save();
        await first.kill();
        const other = await tiny(Buffer.alloc(0), linux);
        await writeGeneration(other.configDrive, 2);
        const since = performance.now();
        const second = await load({ ...other, drives: drivesOf(other) }, saved);
        await second.resume();
        await untilHealth('the loaded VM', () => true, other);
        const loadedMs = performance.now() - since;
        await ask(other, 'POST', '/config/reload');
        expect(await health(other)).toMatchObject({ generation: 2, error: null });

        await ask(other, 'POST', '/power-off');
        expect(await second.exited).toEqual({ by: 'guest' });
        expect(other.console()).toContain('reboot: Restarting system');
        process.stdout.write(`desktop after ${Math.round(bootedMs)} ms, loaded in ${Math.round(loadedMs)} ms\n`);
      } finally {
        await images.remove();
      }
    },
    3 * longestBootMs,
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
  ] as [string, string, (vm: Tiny) => Partial<VmmOptions>][])('%s: %s', async (code, words, change) => {
    const vm = await tiny(halt);
    await expect(start({ ...vm, ...change(vm) })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
  });

  it.each([
    ['vmm_missing', 'no program', 'rm "$0/firecracker"'],
    ['vmm_missing', 'jailer', 'rm "$0/jailer"'],
    ['vmm_unsuitable', 'changed by others', 'chmod 0777 "$0/firecracker"'],
    ['vmm_failed', 'Exec format error', 'printf "no program" > "$0/firecracker"'],
  ])('%s: a program that has %s', async (code, words, change) => {
    const bin = await mkdtemp(join(tmpdir(), 'airlock-d-bin'));
    const { firecracker, jailer } = await firecrackerBinaries();
    await run('cp', [firecracker, jailer, bin]);
    await run('sh', ['-c', change, bin]);
    const own = await listenAsHelper(home, { firecracker: join(bin, 'firecracker') });
    try {
      const vm = await tiny(halt, {}, own);
      await expect(start(vm)).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
    } finally {
      await Promise.all(networks.splice(0).map((network) => network.detach()));
      await own.close();
      await rm(bin, { recursive: true });
    }
  });

  it('a user id for which there is none left', async () => {
    const own = await listenAsHelper(home, { ids: '70100-70100' });
    try {
      await tiny(halt, {}, own);
      await expect(tiny(halt, {}, own)).rejects.toMatchObject({ code: 'vm_ids_exhausted' });
    } finally {
      await Promise.all(networks.splice(0).map((network) => network.detach()));
      await own.close();
    }
  });

  it('what nobody wants any more, before it began and while it begins', async () => {
    const vm = await tiny(halt);
    const reason = new AppError('aborted', 'not wanted');
    await expect(firecrackerDriver.start(vm, AbortSignal.abort(reason))).rejects.toThrow('not wanted');
    const begun = new AbortController();
    const { network } = vm;
    if (network.type !== 'tap') throw new Error('It has a tap.');
    let pid = 0;
    const launch: typeof network.launch = async (order) => {
      const launched = await network.launch(order);
      pid = launched.identity.pid;
      begun.abort(reason);
      return launched;
    };
    await expect(firecrackerDriver.start({ ...vm, network: { ...network, launch } }, begun.signal)).rejects.toThrow(
      'not wanted',
    );
    expect(
      await access(`/proc/${pid}`).then(
        () => true,
        () => false,
      ),
    ).toBe(false);
  });
});
