/** Conformance of a driver: how a VM ends, by request and otherwise, and that nothing is left. See docs/adding-a-driver.md. */
import { once } from 'node:events';
import { totalmem } from 'node:os';
import { expect, it } from 'vitest';
import { isRunning } from '@airlock/contract/process';
import { tinyKernel, watchingKernel, watchWords } from '@airlock/runner/fixtures/tiny-guest';
import { until } from '../../support/poll.js';
import { describeEach, useTinyVms } from './suite.js';
import { findOffers, patienceMs } from './tiny-vm.js';

const tiny = useTinyVms();

const hugeMib = 65_536;

describeEach(await findOffers(), (offer) => {
  it.each(['request', 'SIGTERM'] as const)('stops at once by %s', async (how) => {
    const vm = await tiny.standing(offer);
    if (how === 'request') await vm.stop(0);
    else vm.runner.kill('SIGTERM');
    expect(await vm.exitCode()).toBe(0);
    expect(await vm.lastStatus()).toMatchObject({ phase: 'stopped', error: null });
    await vm.expectReleased();
  });

  it('says so when its VMM is killed', async () => {
    const killed = await tiny.standing(offer);
    process.kill(killed.vmm.pid, 'SIGKILL');
    expect(await killed.exitCode()).toBe(1);
    const { phase, error } = await killed.lastStatus();
    expect([phase, error?.code, error?.message]).toEqual(['failed', 'vmm_failed', expect.stringContaining('SIGKILL')]);
    await killed.expectReleased();
  });

  it('ends with its runner, whose folder a newer epoch takes over', async () => {
    const vm = await tiny.standing(offer);
    vm.runner.kill('SIGKILL');
    await once(vm.runner, 'exit');
    await until('the VMM to end', async () => !(await isRunning(vm.vmm)), { timeoutMs: patienceMs });
    vm.start();
    await vm.statusWhen((status) => status.vmm !== null && status.vmm.pid !== vm.vmm.pid);
    await vm.stop(0);
    expect(await vm.exitCode()).toBe(0);
    await vm.expectReleased();
  });

  it.each([
    ['panics', 'panic', 'panicked'],
    ['restarts', 'reset', 'restarted'],
  ] as const)('says so when its guest %s, at power-on or later', async (_what, end, words) => {
    for (const generation of [1, 2]) {
      const vm = await tiny.make(offer, watchingKernel({ generation, end }));
      vm.start();
      if (generation === 2) {
        await vm.untilConsole(`${watchWords.finds}00000001`);
        await vm.writeGeneration(2);
      }
      expect(await vm.exitCode()).toBe(1);
      const { phase, error } = await vm.lastStatus();
      expect([phase, error?.code]).toEqual(['failed', 'vm_boot_failed']);
      expect(error?.message).toContain(words);
      expect(JSON.stringify(error?.details)).toContain(`${watchWords.finds}0000000${generation}`);
      await vm.expectReleased();
    }
  });

  it('fails with the VMM’s own words when this host has not the memory', async ({ skip }) => {
    if (totalmem() > hugeMib * 1024 ** 2 * 0.9) skip('This host has more memory than a VM may have.');
    const vm = await tiny.make(offer, tinyKernel('standing', 'halt'), () => ({ memoryMib: hugeMib }));
    vm.start();
    expect(await vm.exitCode()).toBe(1);
    const { phase, error } = await vm.lastStatus();
    expect([phase, error?.code, error?.message]).toEqual(['failed', 'vmm_failed', expect.stringMatching(/memory/i)]);
    await vm.expectReleased();
  });

  it('fails at once without a kernel', async () => {
    const vm = await tiny.make(offer, Buffer.alloc(0), ({ kernel }) => ({
      kernel: kernel.replace('img_tiny01', 'img_tiny02'),
    }));
    vm.start();
    expect(await vm.exitCode()).toBe(1);
    expect(await vm.lastStatus()).toMatchObject({ phase: 'failed', error: { code: 'vmm_failed' } });
    await vm.expectReleased();
  });

  it('is given up when it does not boot in time', async () => {
    const vm = await tiny.make(offer, tinyKernel('standing', 'halt'), () => ({ bootTimeoutMs: 1500 }));
    vm.start();
    expect(await vm.exitCode()).toBe(1);
    const { phase, error } = await vm.lastStatus();
    expect([phase, error?.code]).toEqual(['failed', 'vm_boot_timeout']);
    await vm.expectReleased();
  });
});
