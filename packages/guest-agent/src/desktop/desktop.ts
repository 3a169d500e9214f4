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
import { createTyping, type Typing } from './typing.js';
import { layOut, managedWindows } from './windows.js';

export interface Desktop {
  /** As last seen. */
  parts(): DesktopParts;
  start(): void;
  stop(): void;
  /** @throws AppError desktop_not_ready, as do the next three */
  paste(paste: DesktopPaste): Promise<DesktopPasted>;
  /** See `Typing`. */
  type(text: string): Promise<void>;
  copied(): Promise<DesktopCopied>;
  /** Resolves when display and windows have the size; a display that starts anew is given it, too. */
  resize(size: DesktopSize): Promise<void>;
}

interface Attached {
  display: XDisplay;
  clipboard: Clipboard;
  copied: Copied;
  typing: Typing;
  look: ReturnType<typeof createEye>;
}

/** Milliseconds that the window manager has for new places, and between two looks at them. */
const layOutMs = 5000;
const lookAgainMs = 50;

/** One connection for all: a second client would ask for what the first one offers. `onProperty`: one of the root window has changed. */
function createLink(socket: string, onProperty: () => void, log: Log) {
  let attached: Attached | undefined;
  let attaching: Promise<Attached> | undefined;

  async function attach(): Promise<Attached> {
    const display = await openDisplay(socket);
    try {
      const clipboard = createClipboard(display);
      const copied = await watchCopied(display, clipboard.isOwn, log);
      display.listen(
        (event) =>
          event.readUInt8(0) === eventKinds.propertyNotify && event.readUInt32LE(4) === display.root && onProperty(),
      );
      display.send(selectEvents(display.root, eventMasks.propertyChange));
      return { display, clipboard, copied, typing: createTyping(display), look: createEye(display) };
    } catch (error) {
      display.close();
      throw error;
    }
  }
  async function open(): Promise<Attached> {
    if (attached?.display.isOpen() === true) return attached;
    // All who ask in the same moment share it.
    attaching ??= attach().finally(() => (attaching = undefined));
    return (attached = await attaching);
  }
  const close = (): void => {
    attached?.display.close();
    attaching?.then(({ display }) => display.close()).catch(() => undefined);
  };
  return { open, close };
}

export function createDesktop(settings: AgentSettings, log: Log): Desktop {
  let wanted: DesktopSize | null = null;
  let lastResize: Promise<unknown> = Promise.resolve();

  const { open, close } = createLink(settings.displaySocket, () => probe.lookSoon(), log);
  /** What a person asks for, of a display that may not be there. */
  async function using<T>(act: (on: Attached) => Promise<T>): Promise<T> {
    try {
      return await act(await open());
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      throw new AppError('desktop_not_ready', 'The display of this VM does not answer.', { cause });
    }
  }

  /** Changes of the size, one after the other. */
  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = lastResize.then(act);
    lastResize = turn.catch(() => undefined);
    return turn;
  }
  async function resize(size: DesktopSize): Promise<void> {
    wanted = size;
    const { display } = await open();
    await setSize(display, size);
    await layOut(display, (await managedWindows(display)) ?? [], size);
    for (const until = performance.now() + layOutMs; performance.now() < until; await delay(lookAgainMs)) {
      // A pop-up has had its chance: it may be as large as it likes.
      const windows = (await managedWindows(display))?.filter(({ kind }) => kind !== 'other');
      if (windows === undefined || (await layOut(display, windows, size))) return;
    }
    log('Some window has not taken its place.');
  }
  /** A display that has started anew is given the size of the one before. */
  async function look(): Promise<Omit<DesktopParts, 'display' | 'vnc'>> {
    const on = await open();
    try {
      await inTurn(async () => wanted && setSize(on.display, wanted));
      return await on.look();
    } catch (error) {
      on.display.close();
      throw error;
    }
  }

  const probe = createDesktopProbe({ look, close, vncPort: settings.vncPort }, log);
  return {
    ...probe,
    paste: async (paste) => using(async ({ clipboard }) => ({ fetched: await clipboard.paste(paste) })),
    type: async (text) => using(async ({ typing }) => typing.type(text)),
    copied: async () => using(async ({ copied }) => ({ text: await copied.text() })),
    resize: (size) => inTurn(async () => using(async () => resize(size))),
  };
}
