import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { clipboardCharacters } from '@airlock/contract/desktop';
import { temporaryFolder } from '../fixtures/config.js';
import { event, extensions, startFakeServer, type FakeServer } from '../fixtures/x-server.js';
import { eventKinds, words } from '../x11/requests.js';
import { openDisplay } from '../x11/x11.js';
import { watchCopied, type Copied } from './copied.js';

const program = 0x60_0001;
const own = 0x20_0077;
const limitMs = 3500;

interface Ask {
  window: number;
  property: number;
}
interface Desk {
  server: FakeServer;
  copied: Copied;
  /** A program becomes the owner of the clipboard, and answers so from now on. */
  copy(owner: number, answer: (ask: Ask) => void): void;
  put(ask: Ask, value: Buffer | string, type?: string): void;
  /** SelectionNotify: the whole is there; or not (`property` 0). */
  tell(ask: Ask): void;
  isOpen(): boolean;
  onConvert(request: Buffer): void;
}

async function desk(graceMs = 20): Promise<Desk> {
  const path = join(await temporaryFolder(), 'X0');
  const server = await startFakeServer(path, new Map());
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  let answer: (ask: Ask) => void = () => undefined;
  const onConvert = (request: Buffer): void => {
    if (request.readUInt8(0) === 24) answer({ window: request.readUInt32LE(4), property: request.readUInt32LE(16) });
  };
  server.onRequest = onConvert;
  const clipboard = server.atom('CLIPBOARD');
  const copied = await watchCopied(
    display,
    (window) => window === own,
    () => undefined,
    graceMs,
  );
  // What was there when it began has been looked at.
  await copied.text();
  return {
    server,
    copied,
    onConvert,
    copy: (owner, how) => {
      answer = how;
      server.owners.set(clipboard, owner);
      server.send(event(87, words(0, owner, clipboard)));
    },
    put: ({ window, property }, value, type = 'UTF8_STRING') => {
      server.properties.set(`${window}/${property}`, { type: server.atom(type), value: Buffer.from(value) });
      server.send(event(eventKinds.propertyNotify, words(window, property, 0, 0)));
    },
    tell: ({ window, property }) =>
      server.send(event(0x80 | eventKinds.selectionNotify, words(0, window, clipboard, 0, property))),
    isOpen: () => display.isOpen(),
  };
}

/** In the way of large texts: `next` is called when a piece was taken. */
function inPieces(it: Desk, ask: Ask, next: () => Buffer): void {
  it.put(ask, words(1), 'INCR');
  it.tell(ask);
  it.server.onRequest = (request) => {
    it.onConvert(request);
    const isTaken = request.readUInt8(0) === 20 && request.readUInt8(1) === 1 && request.readUInt32LE(4) === ask.window;
    if (isTaken) it.put(ask, next());
  };
}

it('knows the last text that was copied, not one that was pasted, and keeps it when its program ends', async () => {
  const it = await desk();
  expect(await it.copied.text()).toBeNull();
  const copyText = (text: string): void =>
    it.copy(program, (ask) => {
      it.put(ask, text);
      it.tell(ask);
    });
  copyText('Ünï日本€😀\n\t');
  await expect.poll(() => it.copied.text()).toBe('Ünï日本€😀\n\t');
  it.copy(own, () => expect.unreachable('our own paste is not asked for'));
  copyText('newer');
  await expect.poll(() => it.copied.text()).toBe('newer');
  it.copy(0, () => expect.unreachable('nobody is there to ask'));
  expect(await it.copied.text()).toBe('newer');
});

it('waits for a program that is about to copy, once', async () => {
  const it = await desk(2000);
  const asked = it.copied.text();
  await new Promise((resolve) => setTimeout(resolve, 100));
  it.copy(program, (ask) => {
    it.put(ask, 'what was meant');
    it.tell(ask);
  });
  expect(await asked).toBe('what was meant');
  const startedAt = performance.now();
  expect(await it.copied.text()).toBe('what was meant');
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

it('takes a text in pieces', async () => {
  const it = await desk();
  const pieces = ['日本'.repeat(9000), 'b'.repeat(20_000), ''].map((text) => Buffer.from(text));
  const text = Buffer.concat(pieces).toString();
  it.copy(program, (ask) => inPieces(it, ask, () => pieces.shift() ?? Buffer.alloc(0)));
  await expect.poll(() => it.copied.text(), { timeout: 5000 }).toBe(text);
});

it.each<[string, (it: Desk, ask: Ask) => void]>([
  ['never answers', () => undefined],
  ['says that it has nothing', (it, ask) => it.tell({ ...ask, property: 0 })],
  ['answers without a text', (it, ask) => it.tell(ask)],
  ['gives something else than text', (it, ask) => [it.put(ask, 'x', 'IMAGE'), it.tell(ask)]],
  ['gives one text of 400 KB', (it, ask) => [it.put(ask, Buffer.alloc(400_000, 97)), it.tell(ask)]],
  ['gives one letter too many', (it, ask) => [it.put(ask, 'a'.repeat(clipboardCharacters + 1)), it.tell(ask)]],
  ['announces pieces and sends none', (it, ask) => [it.put(ask, words(1 << 30), 'INCR'), it.tell(ask)]],
  ['sends 1 GB in pieces', (it, ask) => inPieces(it, ask, () => Buffer.alloc(100_000, 97))],
  ['sends single letters without end', (it, ask) => inPieces(it, ask, () => Buffer.from('a'))],
])('an owner that %s costs its own answer alone', async (_what, answer) => {
  const it = await desk();
  const startedAt = performance.now();
  it.copy(program, (ask) => answer(it, ask));
  await expect.poll(() => it.server.requests.some((request) => request.readUInt8(0) === 24)).toBe(true);
  expect(await it.copied.text()).toBeNull();
  expect(performance.now() - startedAt).toBeLessThan(limitMs);
  it.copy(program + 1, (ask) => {
    it.put(ask, 'after it');
    it.tell(ask);
  });
  await expect.poll(() => it.copied.text(), { timeout: 5000 }).toBe('after it');
});

it('is asked for a few times in a second by a program that copies two thousand times', async () => {
  const it = await desk();
  for (let times = 0; times < 2000; times += 1) it.copy(program, (ask) => it.tell({ ...ask, property: 0 }));
  await it.copied.text();
  expect(it.server.requests.filter((request) => request.readUInt8(0) === 24).length).toBeLessThan(5);
  expect(it.isOpen()).toBe(true);
  expect(it.server.requests.filter((request) => request.readUInt8(0) === extensions.XFIXES)).toHaveLength(2);
});
