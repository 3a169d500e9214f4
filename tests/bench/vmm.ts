/**
 * VMMs against themselves by hand, and against each other: a tiny guest in Firecracker by its jailer, and through the driver; and, where
 * KVM carries Linux, the golden image up to its VNC banner under both. Airlock's VMs are started by the real runner and helper.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { imageFiles } from '@airlock/contract/image';
import { rootDriveId, runnerFiles, type VmSpec } from '@airlock/contract/runner';
import { tinyKernel } from '@airlock/runner/fixtures/tiny-guest';
import { createTestHome } from '../support/home.js';
import { createTinyVm, findOffers, type Offer, type TinyVm } from '../vm/driver/tiny-vm.js';
import { bootTimeoutMs } from './boot-bare.js';
import { alternate, figureOf, type Context, type Figure } from './figure.js';
import { startByHand } from './jailer.js';

const text = 'standing';

export async function benchVmm(context: Context): Promise<Figure[]> {
  const offers = await findOffers();
  const find = (name: string, why: (offer: Offer) => string | null): Offer | null => {
    const offer = offers.find((one) => one.name === name);
    const reason = offer ? why(offer) : 'this host has none';
    if (offer && reason === null) return offer;
    context.say(`  without ${name}: ${reason}`);
    return null;
  };
  const tiny = find('firecracker/netns', ({ skip }) => skip);
  const qemu = find('qemu-kvm/netns', ({ noLinux }) => noLinux);
  const firecracker = find('firecracker/netns', ({ noLinux }) => noLinux);
  const figures = tiny ? [await jailerAgainstDriver(context, tiny)] : [];
  if (qemu && firecracker) figures.push(await boots(context, qemu, firecracker));
  return figures;
}

async function jailerAgainstDriver({ runs, signal }: Context, offer: Offer): Promise<Figure> {
  // Both sides boot the same files: those of the VM that is made first, which stays until the end.
  const kernel = tinyKernel(text, 'halt');
  const first = await createTinyVm(offer, kernel);
  const { cpus, memoryMib, kernel: kernelFile, initrd, drives } = first.spec;
  const files = { cpus, memoryMib, kernel: kernelFile, initrd, root: drives[0]?.path ?? '' };
  try {
    const [driver, jailer] = await alternate(
      runs ?? 10,
      signal,
      () => using(createTinyVm(offer, kernel), untilStanding),
      () => startByHand(files, text, signal),
    );
    return figureOf({
      name: 'vmm.firecracker.power-on',
      unit: 'ms',
      goal: { atMost: 1.15 },
      baseline: { what: 'jailer by hand, start to the first words of a tiny guest', samples: jailer },
      airlock: { what: 'driver, power-on to the first words of a tiny guest', samples: driver },
    });
  } finally {
    await first.remove();
  }
}

async function boots({ runs, signal, say }: Context, qemu: Offer, firecracker: Offer): Promise<Figure> {
  const home = await createTestHome();
  const linux = (): Partial<VmSpec> => ({
    ...{ cpus: 2, memoryMib: 2048, bootTimeoutMs },
    kernel: join(home.image, imageFiles.kernel),
    initrd: join(home.image, imageFiles.initrd),
    drives: [{ id: rootDriveId, path: join(home.image, imageFiles.rootfs), readOnly: true }],
  });
  const boot = (offer: Offer) => async (): Promise<number> => {
    const ms = await using(createTinyVm(offer, Buffer.alloc(0), linux), untilBanner);
    say(`  ${offer.name}: VNC after ${ms} ms`);
    return ms;
  };
  try {
    const [ours, theirs] = await alternate(runs ?? 2, signal, boot(firecracker), boot(qemu));
    return figureOf({
      name: 'vmm.vnc',
      unit: 'ms',
      goal: null,
      baseline: { what: `${qemu.name}, power-on to VNC banner`, samples: theirs },
      airlock: { what: `${firecracker.name}, power-on to VNC banner`, samples: ours },
    });
  } finally {
    await home.remove();
  }
}

async function using<T>(making: Promise<TinyVm>, watch: (vm: TinyVm) => Promise<T>): Promise<T> {
  const vm = await making;
  try {
    vm.start();
    return await watch(vm);
  } finally {
    await vm.stop(0);
    await vm.remove();
  }
}

/** The guest writes once and no more: its console's file has that time. */
async function untilStanding(vm: TinyVm): Promise<number> {
  await vm.untilConsole(text);
  const { poweredOnAt } = await vm.lastStatus();
  const { mtimeMs } = await stat(join(vm.folder, runnerFiles.serialLog));
  return mtimeMs - (poweredOnAt ?? NaN);
}

async function untilBanner(vm: TinyVm): Promise<number> {
  const { vncAt, poweredOnAt } = await vm.statusWhen((status) => status.vncAt !== null, bootTimeoutMs);
  return (vncAt ?? NaN) - (poweredOnAt ?? NaN);
}
