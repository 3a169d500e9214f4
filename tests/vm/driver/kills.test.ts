/**
 * Conformance of a driver: nothing is left of a VM, whoever of those that carry it is killed, at whatever moment. Chance decides, the
 * same for the same seed; `npm run soak -- --only driver` asks it more often. See docs/adding-a-driver.md.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { tinyKernel } from '@airlock/runner/fixtures/tiny-guest';
import { chance, some } from '../../support/chance.js';
import { describeEach, useTinyVms } from './suite.js';
import { findOffers, kill9, type Offer, type TinyVm } from './tiny-vm.js';

const cycles = Number(process.env['TEST_CYCLES'] ?? 5);
const seed = Number(process.env['TEST_SEED'] ?? 1);
/** Milliseconds: a tiny guest stands before this, also on a busy host. */
const latestMs = 1500;
const victims = ['vmm', 'runner', 'helper'] as const;

interface Kill {
  cycle: number;
  ms: number;
  who: readonly (typeof victims)[number][];
}

function killsFor({ network }: Offer): Kill[] {
  const next = chance(seed);
  return Array.from({ length: cycles }, (_, at) => ({
    cycle: at + 1,
    ms: Math.floor(next() * latestMs),
    who: some(next, network === 'netns' ? victims : victims.slice(0, 2)),
  }));
}

const tiny = useTinyVms();

describeEach(await findOffers(), (offer) => {
  it.each(killsFor(offer))(
    `leaves nothing (seed ${seed}, cycle $cycle): after $ms ms killed $who`,
    async ({ ms, who }) => {
      const vm = await tiny.make(offer, tinyKernel('standing', 'halt'));
      const runner = vm.start();
      await pause(ms);
      // All at once: what one of them does about the end of another is cut, too.
      const helpers = (await vm.helper?.serving()) ?? [];
      const vmm = (await vm.lastStatus().catch(() => null))?.vmm?.pid;
      const pids = { vmm: vmm ? [vmm] : [], runner: [runner.pid ?? 0], helper: helpers };
      for (const pid of who.flatMap((one) => pids[one])) kill9(pid);
      if (!who.includes('runner')) runner.kill('SIGTERM');
      // The next runner takes the folder over, and leaves it as one does that was not killed; its helper sweeps.
      if ((await vm.exitCode()) === null) await runOnce(vm);
      else if (who.includes('helper')) await vm.helper?.sweep();
      await expect(vm.expectReleased()).resolves.toBeUndefined();
    },
  );
});

/** Until it may: one that was killed at the claim of its folder keeps it closed for a while. */
async function runOnce(vm: TinyVm): Promise<void> {
  const claimRefused = 3;
  for (;;) {
    vm.start();
    const ended = vm.exitCode();
    const began = vm.statusWhen((status) => status.vmm !== null).then(() => vm.stop(0));
    const code = await Promise.race([ended, began.then(() => ended)]);
    if (code !== claimRefused) {
      await began;
      return;
    }
    began.catch(() => undefined);
  }
}
