/** The frame of each file of the conformance suite: a suite for each driver and network, and VMs that are taken away. */
import type { ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe } from 'vitest';
import type { ProcessIdentity } from '@airlock/contract/runner';
import { tinyKernel } from '@airlock/runner/fixtures/tiny-guest';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../../support/leaks.js';
import { createTinyVm, patienceMs, type Offer, type TinyVm } from './tiny-vm.js';

/** A suite for each driver with each network; where this host cannot run one, its cases are skipped with the reason. */
export function describeEach(offers: readonly Offer[], suite: (offer: Offer) => void): void {
  describe.each(offers)('the driver $name', (offer) => {
    beforeEach(({ skip }) => {
      if (offer.skip !== null) skip(offer.skip);
    });
    suite(offer);
  });
}

export interface TinyVms {
  make: typeof createTinyVm;
  /** One that runs until something is done to it. */
  standing(offer: Offer): Promise<TinyVm & { runner: ChildProcess; vmm: ProcessIdentity }>;
}

/** For a file of tests: takes the VMs of each away, and looks that nothing is left of them. */
export function useTinyVms(): TinyVms {
  const vms: TinyVm[] = [];
  let before: Snapshot;
  beforeEach(async () => {
    before = await takeSnapshot({ home: join(tmpdir(), 'airlock-d-'), names: /airlock-d-/ });
  });
  afterEach(async () => {
    for (const vm of vms.splice(0)) await vm.remove();
    await untilNoLeaks(before, patienceMs);
  });
  const make: TinyVms['make'] = async (...wanted) => {
    const vm = await createTinyVm(...wanted);
    vms.push(vm);
    return vm;
  };
  return {
    make,
    async standing(offer) {
      const vm = await make(offer, tinyKernel('standing', 'halt'));
      const runner = vm.start();
      await vm.untilConsole('standing\n');
      const { vmm } = await vm.statusWhen((status) => status.vmm !== null);
      if (!vmm) throw new Error('There is no VMM.');
      return { ...vm, runner, vmm };
    },
  };
}
