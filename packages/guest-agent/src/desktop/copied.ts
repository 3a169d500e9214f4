/**
 * What the person copied last in the desktop. Read as soon as a program has become the owner of the clipboard, one at a time: a program
 * that owns it and never answers, or never ends, costs one wait.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { clipboardCharacters } from '@airlock/contract/desktop';
import type { Log } from '../log.js';
import {
  atoms,
  convertSelection,
  createWindow,
  destroyWindow,
  eventKinds,
  getProperty,
  getSelectionOwner,
  request,
  valueOfProperty,
} from '../x11/requests.js';
import type { XDisplay } from '../x11/x11.js';

export interface Copied {
  /** Waits for what is being read. null: nothing was copied, or what cannot be had as text within the limits. */
  text(): Promise<string | null>;
}

/** Bytes of a text of so many UTF-16 units. */
const mostBytes = 3 * clipboardCharacters;
/** Of a text in pieces; a program that sends letters one by one would fill the connection with events. */
const mostPieces = 1000;
/** Milliseconds for the whole text. */
const readMs = 2000;
/** Milliseconds between two texts that are read: a program may become the owner a thousand times a second. */
const pauseMs = 200;

/**
 * `isOwn`: the window belongs to a text that was pasted. `graceMs`: what a program may take after the person's keys until it owns the
 * text; when one did so within that time, that is what is meant.
 */
export async function watchCopied(
  display: XDisplay,
  isOwn: (window: number) => boolean,
  log: Log,
  graceMs = 1000,
): Promise<Copied> {
  const clipboard = await display.atom('CLIPBOARD');
  const { opcode, firstEvent } = await display.extension('XFIXES');
  let text: string | null = null;
  let isStale = true;
  let reading: Promise<void> | undefined;
  let [changedAt, onChange] = [-Infinity, (): void => undefined];

  async function readAll(): Promise<void> {
    while (isStale && display.isOpen()) {
      isStale = false;
      const owner = (await display.ask(getSelectionOwner(clipboard)))?.readUInt32LE(8) ?? 0;
      // Without an owner the last text stays: the program that had it may have ended.
      if (owner !== 0 && !isOwn(owner)) text = await readSelection(display, clipboard);
      await delay(pauseMs);
    }
  }
  function refresh(): void {
    isStale = true;
    reading ??= readAll()
      .catch((error: unknown) => log(`What was copied could not be read: ${String(error)}`))
      .finally(() => (reading = undefined));
  }
  display.listen((event) => {
    if (event.readUInt8(0) !== firstEvent || event.readUInt32LE(12) !== clipboard) return;
    changedAt = performance.now();
    refresh();
    onChange();
  });
  // QueryVersion 5.0, without which it does nothing; SelectSelectionInput for a new owner.
  await display.ask(request(opcode, 0, 5, 0));
  display.send(request(opcode, 2, display.root, clipboard, 1));
  refresh();
  return {
    text: async () => {
      if (performance.now() - changedAt > graceMs) {
        const changed = new Promise<void>((resolve) => (onChange = resolve));
        await Promise.race([changed, delay(graceMs, undefined, { ref: false })]);
      }
      // Whoever becomes the owner again and again is not waited for.
      await Promise.race([reading, delay(2 * readMs, undefined, { ref: false })]);
      return text;
    },
  };
}

/** The text that the owner gives; null when it gives none in time, or too much. */
async function readSelection(display: XDisplay, clipboard: number): Promise<string | null> {
  const [utf8 = 0, property = 0, incr = 0] = await Promise.all(
    ['UTF8_STRING', 'AIRLOCK_COPIED', 'INCR'].map(async (name) => display.atom(name)),
  );
  const window = display.newId();
  const answers = queueOfAnswers(display, window);
  const timer = setTimeout(answers.end, readMs);
  const take = async (): Promise<ReturnType<typeof valueOfProperty> | null> => {
    const answer = await display.ask(getProperty(window, property, mostBytes, true));
    return answer && valueOfProperty(answer);
  };
  try {
    display.send(createWindow(window, display.root));
    display.send(convertSelection(window, clipboard, utf8, property));
    if (!(await answers.until(eventKinds.selectionNotify))) return null;
    const first = await take();
    if (first?.type !== incr) return first?.type === utf8 && first.isWhole ? textOf([first.value]) : null;
    // In pieces, each of which is asked for by taking the one before; an empty one is the end.
    const pieces: Buffer[] = [];
    for (let left = mostBytes; left >= 0 && pieces.length < mostPieces;) {
      if (!(await answers.until(eventKinds.propertyNotify))) return null;
      const piece = await take();
      if (piece?.type !== utf8 || !piece.isWhole) return null;
      if (piece.value.length === 0) return textOf(pieces);
      pieces.push(piece.value);
      left -= piece.value.length;
    }
    return null;
  } finally {
    clearTimeout(timer);
    answers.end();
    display.send(destroyWindow(window));
  }
}

function textOf(pieces: readonly Buffer[]): string | null {
  const text = Buffer.concat(pieces).toString('utf8').replace(/\r\n?/g, '\n');
  return text.length > clipboardCharacters ? null : text;
}

/** The events by which an owner answers for this window: a property was set, or the whole is there. */
function queueOfAnswers(display: XDisplay, window: number) {
  const kinds: number[] = [];
  let isOver = false;
  let wake = (): void => undefined;
  const stop = display.listen((event) => {
    const kind = event.readUInt8(0) & 0x7f;
    const isNotice = kind === eventKinds.selectionNotify && event.readUInt32LE(8) === window;
    const isNewValue =
      kind === eventKinds.propertyNotify && event.readUInt32LE(4) === window && event.readUInt8(16) === 0;
    if (isNotice || isNewValue) kinds.push(kind);
    if (isNotice && event.readUInt32LE(20) === atoms.none) isOver = true;
    wake();
  });
  return {
    /** Waits for one of this kind, and forgets the others before it. False: there will be none. */
    async until(kind: number): Promise<boolean> {
      while (!isOver) {
        const at = kinds.indexOf(kind);
        if (at !== -1) return kinds.splice(0, at + 1).length > 0;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      return false;
    },
    end(): void {
      isOver = true;
      stop();
      wake();
    },
  };
}
