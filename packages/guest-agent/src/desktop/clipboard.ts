/**
 * Puts text where the keyboard of the desktop is: offers it, presses "paste", and knows by a program's request that it has arrived.
 * One paste at a time.
 */
import type { DesktopPaste } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import { getInputFocus } from '../x11/requests.js';
import type { XDisplay } from '../x11/x11.js';
import { pressPaste } from './chord.js';
import { createOffers } from './offer.js';

export interface Clipboard {
  /** False: no program took it, and the clipboard is empty. @throws Error when the X server is gone; AppError when too many wait */
  paste(paste: DesktopPaste): Promise<boolean>;
  /** Whether a window is that of a text that was pasted. */
  isOwn(window: number): boolean;
}

/** Milliseconds. */
const limits = {
  /** Nobody has asked for anything: it is pressed once more, where it was pressed before. */
  again: 1500,
  /** In all, while nobody asks. */
  silent: 6000,
  /** After a program has asked what there is: one that is busy will ask for the text, and one that wants none will not. */
  asked: 3000,
  /** Nobody has asked for so long after the text: it has arrived. */
  quiet: 300,
  /** Nobody is waited for longer than that. */
  settled: 3000,
  /** A press that no program has come to by then is none any more. */
  stale: 10_000,
} as const;

/** Texts at a time: each may take seconds, and a caller who has given up would have it done all the same. A page sends one. */
const mostWaiting = 2;

export function createClipboard(display: XDisplay): Clipboard {
  const offers = createOffers(display);
  let ownWindow = 0;
  let last: Promise<unknown> = Promise.resolve();
  /** Presses without a fetch of their own: a program that was busy may still come to them, for a while. */
  let stale = { presses: 0, until: 0 };
  let waiting = 0;

  async function put({ text, masked }: DesktopPaste): Promise<boolean> {
    let [isFetched, askedAt, pressed] = [false, 0, 0];
    const before = performance.now() < stale.until ? stale.presses : 0;
    const alarm = createAlarm();
    const offered = await offers.offer(text, (isForText) => {
      if (before + pressed === 0) return;
      askedAt ||= performance.now();
      isFetched ||= isForText;
      alarm.ring();
    });
    ownWindow = offered.window;
    const startedAt = performance.now();
    const leftMs = (): number => (askedAt > 0 ? askedAt + limits.asked : startedAt + limits.silent) - performance.now();
    const press = async (): Promise<void> => {
      pressed += 1;
      // What is fetched after it was pressed twice would be there twice.
      if (before + pressed > 1) offered.giveOnce();
      await pressPaste(display);
    };
    const isOwner = await offered.own();
    const place = await keyboardAt(display);
    if (isOwner) await press();
    // A secret is not pressed again, and nothing where the keyboard is by now: the person may have gone on to another field.
    if (isOwner && !masked && !isFetched && !(await alarm.within(limits.again)) && askedAt === 0)
      if ((await keyboardAt(display)) === place) await press();
    while (isOwner && !isFetched && leftMs() > 0) await alarm.within(leftMs());
    if (isFetched) await settle(alarm);
    if (!isFetched || masked || before + pressed > 1) offered.end();
    const left = isFetched ? pressed - 1 : pressed;
    if (left > 0) stale = { presses: left, until: performance.now() + limits.stale };
    // It has what it was given, and the clipboard is as it is to be.
    await display.ask(getInputFocus());
    return isFetched;
  }

  return {
    paste: (paste) => {
      if (waiting >= mostWaiting)
        throw new AppError('desktop_not_ready', `The desktop has not taken the ${mostWaiting} texts before yet.`);
      waiting += 1;
      const turn = last.then(async () => put(paste)).finally(() => (waiting -= 1));
      last = turn.catch(() => undefined);
      return turn;
    },
    isOwn: (window) => window === ownWindow,
  };
}

/** The window that has the keyboard. */
const keyboardAt = async (display: XDisplay): Promise<number | undefined> =>
  (await display.ask(getInputFocus()))?.readUInt32LE(8);

interface Alarm {
  ring(): void;
  /** Waits for it, but so many milliseconds at most. True: it rang. */
  within(ms: number): Promise<boolean>;
}

function createAlarm(): Alarm {
  let ring = (): void => undefined;
  return {
    ring: () => ring(),
    within: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve(false), ms);
        ring = () => {
          clearTimeout(timer);
          resolve(true);
        };
      }),
  };
}

/** Chromium asks on after it has the text, and drops the text when the clipboard is another one by then. */
async function settle(alarm: Alarm): Promise<void> {
  const end = performance.now() + limits.settled;
  while (performance.now() < end && (await alarm.within(limits.quiet)));
}
