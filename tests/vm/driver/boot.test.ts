/** Conformance of a driver: power-on, console, drives, network device. See docs/adding-a-driver.md. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tinyKernel, watchingKernel, watchWords } from '@airlock/runner/fixtures/tiny-guest';
import type { NetworkDevice } from '@airlock/runner/lib/device';
import { chooseDriver } from '@airlock/runner/vmm/registry';
import { describeEach, useTinyVms } from './suite.js';
import { findOffers } from './tiny-vm.js';

const devices: readonly NetworkDevice[] = [
  { type: 'user', forwards: [8080], gatewaySocket: '/nowhere/e.sock' },
  {
    type: 'tap',
    namespace: 'nowhere',
    name: 'tap0',
    mac: '02:00:00:00:00:01',
    launch: () => Promise.reject(new Error('not here')),
  },
];

const tiny = useTinyVms();

describeEach(await findOffers(), (offer) => {
  it('powers a VM on, whose console is heard from the first letter on', async () => {
    const vm = await tiny.make(offer, tinyKernel('a line\nand another', 'halt'));
    vm.start();
    expect(await vm.untilConsole('another\n')).toBe('a line\nand another\n');
    const { phase, vmm, poweredOnAt } = await vm.statusWhen((status) => status.vmm !== null);
    expect([phase, typeof vmm?.pid, typeof poweredOnAt]).toEqual(['booting', 'number', 'number']);
  });

  it('shows the guest its config drive, and what is written to it while it runs', async () => {
    const vm = await tiny.make(offer, watchingKernel());
    vm.start();
    await vm.untilConsole(`${watchWords.finds}00000001`);
    for (const generation of [2, 3]) {
      await vm.writeGeneration(generation);
      const written = await vm.untilConsole(`${watchWords.finds}0000000${generation}`);
      expect(written).not.toContain(watchWords.misses);
    }
  });

  it('takes several drives', async () => {
    const vm = await tiny.make(offer, watchingKernel(), ({ drives }) => ({
      drives: [...drives, ...drives.map((drive) => ({ ...drive, id: 'more' }))],
    }));
    vm.start();
    expect(await vm.untilConsole(`${watchWords.finds}00000001`)).not.toContain(watchWords.misses);
  });

  it.each(devices)('refuses a network of the form $type unless it takes it, and leaves nothing', async (network) => {
    const driver = chooseDriver(offer);
    if (driver.capabilities.networks.includes(network.type)) return;
    const folder = await mkdtemp(join(tmpdir(), 'airlock-d-'));
    try {
      const { vmId, cpus, memoryMib, kernel, initrd, drives, accel, tscKhz } = (await tiny.make(offer, Buffer.alloc(0)))
        .spec;
      const options = {
        ...{ vmId, accel, cpus, memoryMib, kernel, initrd, drives, tscKhz, folder, network, kernelArguments: '' },
        ...{ onSerial: () => undefined, onMessage: () => undefined, lastMessages: () => '' },
      };
      await expect(driver.start(options, new AbortController().signal)).rejects.toMatchObject({
        code: 'host_unsupported',
      });
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
