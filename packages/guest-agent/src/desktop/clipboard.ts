/**
 * Puts text where the keyboard of the desktop is: offers it, presses "paste", and knows by a program's request that it has arrived.
 * One paste at a time.
 */
import type { DesktopPaste } from '@airlock/contract/desktop';
import { getInputFocus } from '../x11/requests.js';
import type { XDisplay } from '../x11/x11.js';
import { pressPaste } from './chord.js';
import { createOffers } from './offer.js';

export interface Clipboard {
  /** False: no program took it, and the clipboard is empty. @throws Error when the X server is gone */
  paste(paste: DesktopPaste): Promise<boolean>;
  /** Whether a window is that of a text that was pasted. */
  isOwn(window: number): boolean;
}

/** Milliseconds. */
const limits = {
  /** Nobody has asked for anything: perhaps no window had the keyboard. It is pressed again. */
  again: 1500,
  /** In all, while nobody asks. */
  silent: 6000,
  /** In all, once a program has asked what there is: one that is busy will ask for the text. */
  asked: 10_000,
  /** Nobody has asked for so long after the text: it has arrived. */
  quiet: 300,
  /** Nobody is waited for longer than that. */
  settled: 3000,
} as const;

export function createClipboard(display: XDisplay): Clipboard {
  const offers = createOffers(display);
  let ownWindow = 0;
  let last: Promise<unknown> = Promise.resolve();
  /** Pressed since a text was fetched: a program that was busy takes all of them at once. */
  let presses = 0;

  async function put({ text, masked }: DesktopPaste): Promise<boolean> {
    let [isAsked, isFetched] = [false, false];
    const alarm = createAlarm();
    const offered = await offers.offer(text, (isForText) => {
      if (presses === 0) return;
      isAsked = true;
      isFetched ||= isForText;
      alarm.ring();
    });
    ownWindow = offered.window;
    const startedAt = performance.now();
    const left = (): number => startedAt + (isAsked ? limits.asked : limits.silent) - performance.now();
    const isOwner = await offered.own();
    while (isOwner && !isFetched && left() > 0) {
      if (!isAsked) {
        presses += 1;
        // What is fetched after it was pressed twice would be there twice.
        if (presses > 1) offered.giveOnce();
        await pressPaste(display);
      }
      if (!isFetched) await alarm.within(Math.min(left(), isAsked ? limits.asked : limits.again));
    }
    if (isFetched) await settle(alarm);
    if (!isFetched || masked || presses > 1) offered.end();
    if (isFetched) presses = 0;
    // It has what it was given, and the clipboard is as it is to be.
    await display.ask(getInputFocus());
    return isFetched;
  }

  return {
    paste: (paste) => {
      const turn = last.then(async () => put(paste));
      last = turn.catch(() => undefined);
      return turn;
    },
    isOwn: (window) => window === ownWindow,
  };
}

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
