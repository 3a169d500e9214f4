/** A text that is given to whoever asks for CLIPBOARD or PRIMARY: what ICCCM calls the owner of a selection. */
import {
  atoms,
  changeProperty,
  createWindow,
  destroyWindow,
  eventKinds,
  getSelectionOwner,
  sendEvent,
  setSelectionOwner,
  words,
  type PropertyValue,
} from '../x11/requests.js';
import type { XDisplay } from '../x11/x11.js';

export interface Offer {
  /** Of its own, so that nobody who asks for one text is given another. */
  readonly window: number;
  /** False: another program has become the owner in the same moment. */
  own(): Promise<boolean>;
  /** From now on the text is given out once, and no more. */
  giveOnce(): void;
  /** Leaves both selections empty, unless another program owns them by now. */
  end(): void;
}

export interface Offers {
  /** In the place of the one before. `onRequest`: somebody was answered; `isForText`: with the text, and not only with what there is. */
  offer(text: string, onRequest: (isForText: boolean) => void): Promise<Offer>;
}

/** So often one text is given out; who wants it more often wants something else. */
const mostTexts = 1000;

interface Current {
  window: number;
  valueOf: (target: number) => PropertyValue | null;
  onRequest: (isForText: boolean) => void;
  /** How often the text may still be given out. */
  texts: number;
}

/** Every request is answered, also one that comes for a text that is gone: Chromium hangs for ever without. */
export function createOffers(display: XDisplay): Offers {
  let current: Current | null = null;

  function end(window: number): void {
    if (current?.window !== window) return;
    current = null;
    // With their window the selections are nobody's.
    display.send(destroyWindow(window));
  }
  display.listen((event) => {
    if (event.readUInt8(0) !== eventKinds.selectionRequest) return;
    // Whoever reads what is copied must not take what is pasted: it is no program of the person's.
    const isOurs = display.owns(event.readUInt32LE(12));
    const asked = !isOurs && current?.window === event.readUInt32LE(8) ? current : null;
    const value = asked?.valueOf(event.readUInt32LE(20)) ?? null;
    const isText = value?.format === 8;
    const isGiven = asked !== null && !(isText && asked.texts === 0);
    answer(display, event, isGiven ? value : null);
    if (!isGiven) return;
    if (isText) asked.texts -= 1;
    asked.onRequest(isText);
  });

  return {
    async offer(text, onRequest) {
      const [valueOf, clipboard] = await Promise.all([valuesOf(display, text), display.atom('CLIPBOARD')]);
      const selections = [clipboard, atoms.primary];
      const window = display.newId();
      if (current) end(current.window);
      const made: Current = { window, valueOf, onRequest, texts: mostTexts };
      current = made;
      return {
        window,
        own: async () => {
          display.send(createWindow(window, display.root));
          for (const selection of selections) display.send(setSelectionOwner(window, selection));
          const owners = await Promise.all(selections.map(async (one) => display.ask(getSelectionOwner(one))));
          return owners.every((owner) => owner?.readUInt32LE(8) === window);
        },
        giveOnce: () => void (made.texts = 1),
        end: () => end(window),
      };
    },
  };
}

/** `event`: a SelectionRequest. */
function answer(display: XDisplay, event: Buffer, value: PropertyValue | null): void {
  const [time = 0, requestor = 0, selection = 0, target = 0, named = 0] = [4, 12, 16, 20, 24].map((at) =>
    event.readUInt32LE(at),
  );
  const property = value ? named || target : atoms.none;
  if (value) display.send(changeProperty(requestor, property, value));
  const notify = Buffer.alloc(32);
  notify.writeUInt8(eventKinds.selectionNotify, 0);
  words(time, requestor, selection, target, property).copy(notify, 4);
  display.send(sendEvent(requestor, 0, notify));
}

/** What is answered for a target; null for one that is not had. */
async function valuesOf(display: XDisplay, text: string): Promise<(target: number) => PropertyValue | null> {
  const [targets = 0, utf8 = 0, textAtom = 0] = await Promise.all(
    ['TARGETS', 'UTF8_STRING', 'TEXT'].map(async (name) => display.atom(name)),
  );
  const whole: PropertyValue = { type: utf8, format: 8, bytes: Buffer.from(text) };
  const values = new Map<number, PropertyValue>([
    [utf8, whole],
    [textAtom, whole],
  ]);
  // By its definition Latin-1, tabs and line ends.
  if (/^[\t\n\x20-\x7e\xa0-\xff]*$/.test(text))
    values.set(atoms.string, { type: atoms.string, format: 8, bytes: Buffer.from(text, 'latin1') });
  values.set(targets, { type: atoms.atom, format: 32, bytes: words(targets, ...values.keys()) });
  return (target) => values.get(target) ?? null;
}
