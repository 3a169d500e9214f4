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
  /** Leaves both selections empty, unless another program owns them by now. */
  end(): void;
}

/** So often one text is given out; who wants it more often wants something else. */
const mostRequests = 1000;

/** `onRequest`: somebody has asked, and was answered; `isForText`: with the text, and not only with what there is. */
export async function offerText(
  display: XDisplay,
  text: string,
  onRequest: (isForText: boolean) => void,
): Promise<Offer> {
  const window = display.newId();
  const valueOf = await valuesOf(display, text);
  const selections = [await display.atom('CLIPBOARD'), atoms.primary];
  let requests = 0;

  function answer(event: Buffer): void {
    if (event.readUInt8(0) !== eventKinds.selectionRequest || event.readUInt32LE(8) !== window) return;
    const [time = 0, requestor = 0, selection = 0, target = 0, named = 0] = [4, 12, 16, 20, 24].map((at) =>
      event.readUInt32LE(at),
    );
    const value = valueOf(target);
    const property = value ? named || target : atoms.none;
    if (value) display.send(changeProperty(requestor, property, value));
    const notify = Buffer.alloc(32);
    notify.writeUInt8(eventKinds.selectionNotify, 0);
    words(time, requestor, selection, target, property).copy(notify, 4);
    display.send(sendEvent(requestor, 0, notify));
    requests += 1;
    if (requests === mostRequests) end();
    onRequest(value?.format === 8);
  }
  const stop = display.listen(answer);
  function end(): void {
    stop();
    // With their window the selections are nobody's.
    display.send(destroyWindow(window));
  }

  return {
    window,
    own: async () => {
      display.send(createWindow(window, display.root));
      for (const selection of selections) display.send(setSelectionOwner(window, selection));
      const owners = await Promise.all(selections.map(async (selection) => display.ask(getSelectionOwner(selection))));
      return owners.every((owner) => owner?.readUInt32LE(8) === window);
    },
    end,
  };
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
