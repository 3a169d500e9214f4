/**
 * The desktop of a browser VM: what of it is up, and what a person does with it besides RFB. One connection to the X server serves all
 * of it; when that ends, the next that needs one opens another.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { DesktopCopied, DesktopPaste, DesktopPasted, DesktopSize } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import type { Log } from '../log.js';
import type { AgentSettings } from '../settings.js';
import { eventKinds, eventMasks, selectEvents } from '../x11/requests.js';
import { openDisplay, type XDisplay } from '../x11/x11.js';
import { createClipboard, type Clipboard } from './clipboard.js';
import { watchCopied, type Copied } from './copied.js';
import { createEye, type DesktopParts } from './eye.js';
import { createDesktopProbe } from './probe.js';
import { setSize } from './size.js';
import { layOut, managedWindows } from './windows.js';

export interface Desktop {
  /** As last seen. */
  parts(): DesktopParts;
  start(): void;
  stop(): void;
  /** @throws AppError desktop_not_ready, as do the next two */
  paste(paste: DesktopPaste): Promise<DesktopPasted>;
  copied(): Promise<DesktopCopied>;
  /** Resolves when display and windows have the size; a display that starts anew is given it, too. */
  resize(size: DesktopSize): Promise<void>;
}

interface Attached {
  display: XDisplay;
  clipboard: Clipboard;
  copied: Copied;
  look: ReturnType<typeof createEye>;
}

/** Milliseconds that the window manager has for new places, and between two looks at them. */
const layOutMs = 5000;
const lookAgainMs = 50;

export function createDesktop(settings: AgentSettings, log: Log): Desktop {
  let wanted: DesktopSize | null = null;
  let attached: Promise<Attached> | undefined;
  let lastResize: Promise<unknown> = Promise.resolve();

  async function attach(): Promise<Attached> {
    const display = await openDisplay(settings.displaySocket);
    try {
      if (wanted !== null) await setSize(display, wanted);
      const clipboard = createClipboard(display);
      const copied = await watchCopied(display, clipboard.isOwn, log);
      display.listen(
        (event) =>
          event.readUInt8(0) === eventKinds.propertyNotify &&
          event.readUInt32LE(4) === display.root &&
          probe.lookSoon(),
      );
      display.send(selectEvents(display.root, eventMasks.propertyChange));
      return { display, clipboard, copied, look: createEye(display) };
    } catch (error) {
      display.close();
      throw error;
    }
  }
  async function open(): Promise<Attached> {
    const now = await attached?.catch(() => undefined);
    if (now?.display.isOpen() !== true) attached = attach();
    return attached as Promise<Attached>;
  }
  const close = (): void => {
    attached?.then(({ display }) => display.close()).catch(() => undefined);
  };
  /** What a person asks for, of a display that may not be there. */
  async function using<T>(act: (on: Attached) => Promise<T>): Promise<T> {
    try {
      return await act(await open());
    } catch (cause) {
      throw new AppError('desktop_not_ready', 'The display of this VM does not answer.', { cause });
    }
  }

  async function resize(size: DesktopSize): Promise<void> {
    wanted = size;
    const { display } = await open();
    await setSize(display, size);
    for (const until = performance.now() + layOutMs; performance.now() < until; await delay(lookAgainMs)) {
      const windows = await managedWindows(display);
      if (windows === null || (await layOut(display, windows, size))) return;
    }
    log('Some window has not taken its place.');
  }

  const probe = createDesktopProbe({ look: async () => (await open()).look(), close, vncPort: settings.vncPort }, log);
  return {
    ...probe,
    paste: async (paste) => using(async ({ clipboard }) => ({ fetched: await clipboard.paste(paste) })),
    copied: async () => using(async ({ copied }) => ({ text: await copied.text() })),
    resize: async (size) => {
      const turn = lastResize.then(async () => using(async () => resize(size)));
      lastResize = turn.catch(() => undefined);
      return turn;
    },
  };
}
