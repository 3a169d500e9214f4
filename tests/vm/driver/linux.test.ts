/**
 * Conformance of a driver with the golden image's Linux, which is booted twice: once well, with all that a ready VM can do, and
 * once with too little memory. See docs/adding-a-driver.md.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { GuestHealth } from '@airlock/contract/guest';
import { newId } from '@airlock/contract/ids';
import { imageFiles } from '@airlock/contract/image';
import { ConfigureAnswer, RunnerStatus, runnerFiles, type VmSettings, type VmSpec } from '@airlock/contract/runner';
import { createTestHome, type TestHome } from '../../support/home.js';
import { useKillableImage } from '../../support/killable-image.js';
import { describeEach, useTinyVms } from './suite.js';
import { findOffers } from './tiny-vm.js';

let home: TestHome;

beforeEach(async () => {
  home = await createTestHome();
});
afterEach(() => home.remove());
const tiny = useTinyVms();

const graceMs = 60_000;
/** Milliseconds for which a VM that waits is watched. */
const watchMs = 2000;

/** Milliseconds of processor time that a process has used. */
async function usedMs(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'latin1')).replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** A twentieth of what one processor could: emulated or not, a VMM looks after its sockets. */
async function expectStill(pid: number): Promise<void> {
  const before = await usedMs(pid);
  await pause(watchMs);
  expect((await usedMs(pid)) - before).toBeLessThan(watchMs / 20);
}

const linuxOffers = (await findOffers()).map((offer) => ({ ...offer, skip: offer.skip ?? offer.noLinux }));

describeEach(linuxOffers, (offer) => {
  const { bootMs } = offer;
  /** A VM of this image in the place of the tiny guest's. */
  const linux = (memoryMib: number, image: string) => (): Partial<VmSpec> => ({
    ...{ memoryMib, cpus: 2, bootTimeoutMs: bootMs },
    kernel: join(image, imageFiles.kernel),
    initrd: join(image, imageFiles.initrd),
    drives: [{ id: 'root', path: join(image, imageFiles.rootfs), readOnly: true }],
  });

  it(
    'brings Linux up to its desktop, has it wait for a session, configures it anew while it runs, and lets it shut down by itself',
    async () => {
      // Chromium is not the driver's, and takes an emulated processor half a minute: that it is drawn is shown once for a processor. A
      // helper takes no image of links.
      const isShown = offer.accel === 'kvm' || offer.network === 'netns';
      const image = isShown ? home.image : await useKillableImage(home);
      const vm = await tiny.make(offer, Buffer.alloc(0), () => ({ ...linux(2048, image)(), waits: true }));
      vm.start();
      const { vncAt, agentAt, egress, vmm } = await vm.statusWhen(({ phase }) => phase === 'waiting', bootMs);
      expect([typeof vncAt, typeof agentAt, egress.bytesDown]).toEqual(['number', 'number', expect.any(Number)]);
      await expectStill(vmm?.pid ?? 0);
      await expect(vm.call('GET', '/guest/health', GuestHealth)).rejects.toMatchObject({ code: 'vm_not_running' });

      const settings: VmSettings = { timezone: 'Asia/Tokyo', extraCaPem: null, upstream: null, directHosts: [] };
      const configure = (change: object): Promise<ConfigureAnswer> =>
        vm.call('POST', '/configure', ConfigureAnswer, { ...settings, ...change });
      const assign = (): Promise<RunnerStatus> =>
        vm.call('POST', '/assign', RunnerStatus, { sessionId: newId('ses'), settings });
      const since = performance.now();
      expect(await assign()).toMatchObject({ phase: 'ready' });
      process.stdout.write(`${offer.name}: given to a session in ${Math.round(performance.now() - since)} ms\n`);
      await expect(assign()).rejects.toMatchObject({ code: 'vm_not_waiting' });
      expect(await vm.call('GET', '/guest/health', GuestHealth)).toMatchObject({ generation: 2, ready: true });

      const berlin = { timezone: 'Europe/Berlin' };
      const athens = { timezone: 'Europe/Athens' };
      expect(await Promise.all([configure(athens), configure(berlin)])).toEqual([{ changed: true }, { changed: true }]);
      expect(await configure(berlin)).toEqual({ changed: false });
      await expect(configure({ hostname: 'other' })).rejects.toMatchObject({ code: 'invalid_request' });
      expect(await vm.call('GET', '/guest/health', GuestHealth)).toMatchObject({ generation: 4, error: null });

      const asked = performance.now();
      await vm.stop(graceMs);
      expect(await vm.exitCode()).toBe(0);
      expect(performance.now() - asked).toBeLessThan(graceMs);
      expect(await readFile(join(vm.folder, runnerFiles.serialLog), 'latin1')).toMatch(
        /reboot: |Power down|Reached target/,
      );
      await vm.expectReleased();
    },
    bootMs + 2 * graceMs,
  );

  it(
    'says what the console says when Linux has too little memory',
    async () => {
      const vm = await tiny.make(offer, Buffer.alloc(0), linux(68, home.image));
      vm.start();
      expect(await vm.exitCode()).toBe(1);
      const { error } = await vm.lastStatus();
      expect([error?.code, error?.message]).toEqual([
        'vm_boot_failed',
        expect.stringMatching(/too little memory|panicked/),
      ]);
      await vm.expectReleased();
    },
    bootMs,
  );
});
