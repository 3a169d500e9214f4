/**
 * The current golden image against another one, such as the first form of it: from power-on to the VNC banner, and to a browser
 * that is drawn. Both are booted by bare QEMU with the same arguments, one after the other, with warm files, and judged
 * from outside alone, because what their agents call ready differs.
 */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { chooseHost, driverFor } from '@airlock/contract/capacity';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import { runProbe } from '@airlock/contract/run-probe';
import { rootDriveId, VmSpec } from '@airlock/contract/runner';
import { beginScreen, type Box, type Picture } from '@airlock/image-builder/gate/screen';
import { openDesktop } from '@airlock/runner/guest/desktop';
import { createTestHome } from '../support/home.js';
import { untilReady, watchBare, type BareGuest, type BootTimes } from './boot-bare.js';
import { alternate, figureOf, type Context, type Figure } from './figure.js';

/** Milliseconds from power-on. */
interface FormTimes extends BootTimes {
  browserMs: number;
}

/** Across tabs and address bar: the same part of Chromium in every form, whatever page it shows. */
const toolbars: Box = { x: 8, y: 4, width: 480, height: 84 };
/** An empty desktop or window has a few colours there; letters and icons have many. */
const drawnColours = 24;
const pauseMs = 2000;
const lookTimeoutMs = 20_000;

/** The one part of an old manifest that has never changed. */
const Size = z.object({ rootfsUsedBytes: z.int().positive() });

export async function benchForms({ runs, against, signal, say }: Context): Promise<Figure[]> {
  if (against === null) throw new AppError('invalid_request', 'forms needs the folder of an image to compare with.');
  const home = await createTestHome();
  try {
    const [before, now] = [await specOf(against), await specOf(home.image)];
    const boot = (spec: VmSpec, image: string) => async (): Promise<FormTimes> => {
      const times = await watchBare(spec, signal, watchForm);
      const [vnc, ready, browser] = [times.vncMs, times.readyMs, times.browserMs].map((ms) => (ms / 1000).toFixed(1));
      say(`  ${image}: VNC after ${vnc} s, agent content after ${ready} s, browser drawn after ${browser} s`);
      return times;
    };
    const [first, second] = await alternate(runs ?? 3, signal, boot(before, 'the other'), boot(now, 'current'));
    const used = { baseline: await usedGib(against), airlock: await usedGib(home.image) };
    const figure = (name: string, key: keyof FormTimes, what: string): Figure =>
      figureOf({
        name,
        unit: 'ms',
        goal: { atMost: 0.75 },
        baseline: { what: `the image in ${against}, power-on to ${what}`, samples: first.map((times) => times[key]) },
        airlock: { what: `the current image, power-on to ${what}`, samples: second.map((times) => times[key]) },
        details: { usedGib: used },
      });
    return [
      figure('forms.vnc', 'vncMs', 'VNC banner'),
      figure('forms.ready', 'readyMs', 'all that its agent waits for'),
      figure('forms.browser', 'browserMs', 'a drawn browser'),
    ];
  } finally {
    await home.remove();
  }
}

/** What boots an image, its files read once. @throws AppError when this host runs no VMs */
async function specOf(folder: string): Promise<VmSpec> {
  const runner = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
  const probe = await runProbe({ program: runner });
  for (const file of [imageFiles.kernel, imageFiles.initrd, imageFiles.rootfs]) {
    await once(createReadStream(join(folder, file), { highWaterMark: 2 ** 22 }).resume(), 'close');
  }
  const network = { network: 'user', networkReason: '' } as const;
  const host = chooseHost(probe, { accel: 'auto', vmm: 'auto', network, gates: {} });
  const { accel, tscKhz } = host;
  const manifest = ImageManifest.parse(JSON.parse(await readFile(join(folder, imageFiles.manifest), 'utf8')));
  const { driver } = driverFor(host, manifest, 'browser');
  return VmSpec.parse({
    ...{ version: 2, vmId: newId('vm'), kind: 'browser', epoch: 1, driver, accel, cpus: 2, memoryMib: 2048, tscKhz },
    kernel: join(folder, imageFiles.kernel),
    initrd: join(folder, imageFiles.initrd),
    drives: [{ id: rootDriveId, path: join(folder, imageFiles.rootfs), readOnly: true }],
    ...{ secretFolder: folder, bootTimeoutMs: 300_000, directHosts: [] },
  });
}

async function usedGib(folder: string): Promise<number> {
  const { rootfsUsedBytes } = Size.parse(JSON.parse(await readFile(join(folder, imageFiles.manifest), 'utf8')));
  return Number((rootfsUsedBytes / 2 ** 30).toFixed(2));
}

/** What each form's agent calls ready differs: the first one's, that there are windows; later ones', that a page is drawn in it. */
async function watchForm(guest: BareGuest, signal: AbortSignal): Promise<FormTimes> {
  let drawn: Promise<number> | undefined;
  const times = await untilReady(guest, signal, () => {
    drawn = untilDrawn(guest, signal);
    // Until it is awaited below.
    drawn.catch(() => undefined);
  });
  return { ...times, browserMs: (await drawn) ?? Number.NaN };
}

/** Looks now and then, each time by a short connection: x11vnc works hard while somebody is connected. */
async function untilDrawn(guest: BareGuest, signal: AbortSignal): Promise<number> {
  for (;;) {
    try {
      if ((await coloursOnScreen(guest, signal)) >= drawnColours) return guest.elapsedMs();
    } catch (error) {
      // A server that is not there yet, or busy, answers later.
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
    }
    await delay(pauseMs, undefined, { signal });
  }
}

async function coloursOnScreen({ vnc }: BareGuest, signal: AbortSignal): Promise<number> {
  const stream = await openDesktop({ ...vnc, handshakeMs: lookTimeoutMs, signal });
  try {
    const screen = await beginScreen(stream);
    return coloursIn(await screen.look(toolbars), toolbars);
  } finally {
    stream.destroy();
  }
}

function coloursIn({ width, data }: Picture, box: Box): number {
  const colours = new Set<number>();
  for (let y = box.y; y < box.y + box.height; y += 1) {
    for (let x = box.x; x < box.x + box.width; x += 1) colours.add(data.readUInt32LE((y * width + x) * 4) & 0xffffff);
  }
  return colours.size;
}
