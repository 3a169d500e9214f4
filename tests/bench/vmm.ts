/**
 * VMMs against themselves by hand, and against each other: Firecracker by its jailer, and through the driver; and, where KVM carries
 * Linux, the golden image up to its VNC banner under both. Where it does not, the jailer starts a tiny guest instead. Airlock's VMs are started by the real runner and helper.
 */
import { join } from 'node:path';
import { imageFiles } from '@airlock/contract/image';
import { rootDriveId, type VmSpec } from '@airlock/contract/runner';
import { tinyKernel } from '@airlock/runner/fixtures/tiny-guest';
import { createTestHome } from '../support/home.js';
import { createTinyVm, findOffers, type Offer, type TinyVm } from '../vm/driver/tiny-vm.js';
import { bootTimeoutMs } from './boot-bare.js';
import { alternate, figureOf, type Context, type Figure } from './figure.js';
import { startByHand } from './jailer.js';

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
  const home = firecracker ? await createTestHome() : null;
  try {
    const figures = tiny ? [await jailerAgainstDriver(context, tiny, home ? golden(home.image) : tinyGuest)] : [];
    if (qemu && firecracker && home) figures.push(await boots(context, qemu, firecracker, home.image));
    return figures;
  } finally {
    await home?.remove();
  }
}

/** What both sides start, and what it writes when it has come so far. */
interface Guest {
  what: string;
  kernel: Buffer;
  change: () => Partial<VmSpec>;
  text: string;
  /** Until it has written that, in milliseconds. */
  timeoutMs: number;
  runs: number;
}

const tinyGuest: Guest = {
  ...{ what: 'a tiny guest', kernel: tinyKernel('standing', 'halt'), change: () => ({}), text: 'standing' },
  ...{ timeoutMs: 30_000, runs: 10 },
};

const golden = (image: string): Guest => ({
  ...{ what: 'the golden image’s systemd', kernel: Buffer.alloc(0), change: linux(image), text: 'Reached target' },
  ...{ timeoutMs: bootTimeoutMs, runs: 2 },
});

const linux = (image: string) => (): Partial<VmSpec> => ({
  ...{ cpus: 2, memoryMib: 2048, bootTimeoutMs },
  kernel: join(image, imageFiles.kernel),
  initrd: join(image, imageFiles.initrd),
  drives: [{ id: rootDriveId, path: join(image, imageFiles.rootfs), readOnly: true }],
});

async function jailerAgainstDriver({ runs, signal }: Context, offer: Offer, guest: Guest): Promise<Figure> {
  const { what, kernel, change, text, timeoutMs } = guest;
  // Both sides boot the same files: those of the VM that is made first, which stays until the end.
  const first = await createTinyVm(offer, kernel, change);
  const { cpus, memoryMib, kernel: kernelFile, initrd, drives } = first.spec;
  const files = { cpus, memoryMib, kernel: kernelFile, initrd, root: drives[0]?.path ?? '' };
  try {
    const [driver, jailer] = await alternate(
      runs ?? guest.runs,
      signal,
      () => using(createTinyVm(offer, kernel, change), (vm) => untilWritten(vm, text)),
      () => startByHand(files, text, timeoutMs, signal),
    );
    return figureOf({
      name: 'vmm.firecracker.power-on',
      unit: 'ms',
      goal: { atMost: 1.15 },
      baseline: { what: `jailer by hand, start to the first words of ${what}`, samples: jailer },
      airlock: { what: `driver, power-on to the first words of ${what}`, samples: driver },
    });
  } finally {
    await first.remove();
  }
}

async function boots({ runs, signal, say }: Context, qemu: Offer, firecracker: Offer, image: string): Promise<Figure> {
  const boot = (offer: Offer) => async (): Promise<number> => {
    const ms = await using(createTinyVm(offer, Buffer.alloc(0), linux(image)), untilBanner);
    say(`  ${offer.name}: VNC after ${ms} ms`);
    return ms;
  };
  const [ours, theirs] = await alternate(runs ?? 2, signal, boot(firecracker), boot(qemu));
  return figureOf({
    name: 'vmm.vnc',
    unit: 'ms',
    goal: null,
    baseline: { what: `${qemu.name}, power-on to VNC banner`, samples: theirs },
    airlock: { what: `${firecracker.name}, power-on to VNC banner`, samples: ours },
  });
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

/** As soon as it is seen: a guest goes on writing. */
async function untilWritten(vm: TinyVm, text: string): Promise<number> {
  await vm.untilConsole(text);
  const seenAt = Date.now();
  const { poweredOnAt } = await vm.lastStatus();
  return seenAt - (poweredOnAt ?? NaN);
}

async function untilBanner(vm: TinyVm): Promise<number> {
  const { vncAt, poweredOnAt } = await vm.statusWhen((status) => status.vncAt !== null, bootTimeoutMs);
  return (vncAt ?? NaN) - (poweredOnAt ?? NaN);
}
