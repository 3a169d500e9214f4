import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { clipboardCharacters } from '@airlock/contract/desktop';
import { temporaryFolder } from '../fixtures/config.js';
import { event, extensions, root, startFakeServer, type FakeServer } from '../fixtures/x-server.js';
import { atoms, words } from '../x11/requests.js';
import { openDisplay } from '../x11/x11.js';
import { createClipboard, type Clipboard } from './clipboard.js';

const requestor = 0x60_0001;
const insert = 118;

interface Desk {
  server: FakeServer;
  clipboard: Clipboard;
  /** What the program with the keyboard has been given, by target. */
  given(target: string): string | undefined;
  selections: number[];
}

/** `onPaste` plays the program that has the keyboard: called each time Insert goes down. */
async function desk(onPaste: (server: FakeServer, press: number) => void): Promise<Desk> {
  const path = join(await temporaryFolder(), 'X0');
  const server = await startFakeServer(path, new Map());
  const display = await openDisplay(path);
  onTestFinished(() => display.close());
  let press = 0;
  server.onRequest = (request) => {
    if (request.readUInt8(0) !== extensions.XTEST || server.keys.at(-1) !== insert) return;
    press += 1;
    onPaste(server, press);
  };
  const selections = [server.atom('CLIPBOARD'), atoms.primary];
  const given = (target: string): string | undefined =>
    server.properties.get(`${requestor}/${target === 'STRING' ? atoms.string : server.atom(target)}`)?.value.toString();
  return { server, clipboard: createClipboard(display), given, selections };
}

const isOwned = ({ server, selections }: Desk): boolean[] => selections.map((one) => server.owners.has(one));
/** As Chromium does: what there is, then the text. */
function fetchText(server: FakeServer, selection: number): void {
  server.askFor(selection, server.atom('TARGETS'), requestor);
  server.askFor(selection, server.atom('UTF8_STRING'), requestor);
}

it.each([
  ['a program that asks CLIPBOARD', 'CLIPBOARD'],
  ['a terminal, which asks PRIMARY', 'PRIMARY'],
])('gives a pasted text to %s, whole, and goes on offering it', async (_what, selection) => {
  const text = `Ünï日本€😀\t\n`.padEnd(clipboardCharacters, '€');
  const it = await desk((server) => fetchText(server, server.atom(selection)));
  expect(await it.clipboard.paste({ text, masked: false })).toBe(true);
  await expect.poll(() => it.given('UTF8_STRING')).toBe(text);
  expect(it.server.keys).toEqual([50, insert, -insert, -50]);
  expect(isOwned(it)).toEqual([true, true]);
});

it('releases what the person holds before it presses, and does not press it again', async () => {
  const it = await desk((server) => fetchText(server, server.atom('CLIPBOARD')));
  it.server.heldKeys = new Set([37, 62, 38]);
  expect(await it.clipboard.paste({ text: 'x', masked: false })).toBe(true);
  expect(it.server.keys).toEqual([-62, -37, 50, insert, -insert, -50]);
});

it('leaves nothing of a masked text on the clipboard once it was fetched', async () => {
  const it = await desk((server) => fetchText(server, server.atom('CLIPBOARD')));
  expect(await it.clipboard.paste({ text: 'correct horse', masked: true })).toBe(true);
  await expect.poll(() => isOwned(it)).toEqual([false, false]);
  it.server.properties.clear();
  expect(await it.clipboard.paste({ text: 'next', masked: true })).toBe(true);
  expect(it.given('UTF8_STRING')).toBe('next');
});

it('presses again while nobody asks, and lets the text be taken only once then', async () => {
  const it = await desk((server, press) => {
    if (press !== 2) return;
    fetchText(server, server.atom('CLIPBOARD'));
    // What a program does that was busy for both.
    server.askFor(server.atom('CLIPBOARD'), atoms.string, requestor);
  });
  expect(await it.clipboard.paste({ text: 'x', masked: false })).toBe(true);
  await expect.poll(() => isOwned(it)).toEqual([false, false]);
  expect(it.given('UTF8_STRING')).toBe('x');
  expect(it.given('STRING')).toBeUndefined();
});

it.each([
  ['a secret', true, root],
  ['a text, when the keyboard is elsewhere by then', false, 0x60_0005],
])(
  'presses once for %s',
  async (_what, masked, focus) => {
    const it = await desk((server) => void (server.focus = focus));
    expect(await it.clipboard.paste({ text: 'x', masked })).toBe(false);
    expect(it.server.keys.filter((key) => key === insert)).toHaveLength(1);
  },
  10_000,
);

it('gives up soon on a program that asks what there is, and never for the text', async () => {
  const it = await desk((server) => server.askFor(server.atom('CLIPBOARD'), server.atom('TARGETS'), requestor));
  const startedAt = performance.now();
  expect(await it.clipboard.paste({ text: 'x', masked: false })).toBe(false);
  expect(performance.now() - startedAt).toBeLessThan(4500);
}, 10_000);

it('is not taken by the connection that reads what is copied', async () => {
  const it = await desk((server) => server.askFor(server.atom('CLIPBOARD'), server.atom('UTF8_STRING'), 0x20_0007));
  expect(await it.clipboard.paste({ text: 'correct horse', masked: true })).toBe(false);
  expect([...it.server.properties.values()].map(({ value }) => value.toString())).not.toContain('correct horse');
}, 10_000);

it('gives the next text once when a press for the one before may still come', async () => {
  const it = await desk((server, press) => press === 2 && fetchText(server, server.atom('CLIPBOARD')));
  expect(await it.clipboard.paste({ text: 'one', masked: false })).toBe(true);
  const next = it.clipboard.paste({ text: 'two', masked: false });
  await expect.poll(() => it.server.keys.filter((key) => key === insert).length).toBe(3);
  const clipboard = it.server.atom('CLIPBOARD');
  fetchText(it.server, clipboard);
  expect(await next).toBe(true);
  it.server.properties.clear();
  fetchText(it.server, clipboard);
  await expect.poll(() => isOwned(it)).toEqual([false, false]);
  expect(it.given('UTF8_STRING')).toBeUndefined();
}, 20_000);

it('forgets a press that no program has come to', async () => {
  const it = await desk((server, press) => press !== 1 && fetchText(server, server.atom('CLIPBOARD')));
  expect(await it.clipboard.paste({ text: 'one', masked: false })).toBe(true);
  const now = performance.now.bind(performance);
  const later = vi.spyOn(performance, 'now').mockImplementation(() => now() + 11_000);
  onTestFinished(() => later.mockRestore());
  expect(await it.clipboard.paste({ text: 'two', masked: false })).toBe(true);
  expect(isOwned(it)).toEqual([true, true]);
}, 20_000);

it('refuses a third text while two are under way', async () => {
  const it = await desk(() => undefined);
  const waiting = Array.from({ length: 2 }, async () => it.clipboard.paste({ text: 'x', masked: true }));
  await expect(async () => it.clipboard.paste({ text: 'x', masked: true })).rejects.toThrow(
    'has not taken the 2 texts',
  );
  // They end with the display.
  void Promise.allSettled(waiting);
});

it('does not press again for a program that has begun to ask', async () => {
  const it = await desk((server) => {
    server.askFor(server.atom('CLIPBOARD'), server.atom('TARGETS'), requestor);
    setTimeout(() => server.askFor(server.atom('CLIPBOARD'), server.atom('UTF8_STRING'), requestor), 1500);
  });
  expect(await it.clipboard.paste({ text: 'x', masked: false })).toBe(true);
  expect(it.server.keys.filter((key) => key === insert)).toHaveLength(1);
});

it('says when nobody has taken the text, and leaves the clipboard as empty as it was; the next paste is the newest', async () => {
  let takes = false;
  const it = await desk((server) => takes && fetchText(server, server.atom('CLIPBOARD')));
  const startedAt = performance.now();
  expect(await it.clipboard.paste({ text: 'lost', masked: false })).toBe(false);
  expect(performance.now() - startedAt).toBeLessThan(7000);
  await expect.poll(() => isOwned(it)).toEqual([false, false]);
  takes = true;
  for (const text of ['one', 'two', 'three']) {
    expect(await it.clipboard.paste({ text, masked: false })).toBe(true);
    expect(it.given('UTF8_STRING')).toBe(text);
  }
});

it('takes pastes in the order in which they came', async () => {
  const order: string[] = [];
  const it = await desk((server) => fetchText(server, server.atom('CLIPBOARD')));
  await Promise.all(
    ['a', 'b'].map(async (text) => {
      await it.clipboard.paste({ text, masked: false });
      order.push(`${text}${it.given('UTF8_STRING')}`);
    }),
  );
  expect(order).toEqual(['aa', 'bb']);
});

it('gives one text out a thousand times at most', async () => {
  const it = await desk((server) => fetchText(server, server.atom('CLIPBOARD')));
  expect(await it.clipboard.paste({ text: 'x', masked: false })).toBe(true);
  for (let asked = 0; asked < 1200; asked += 1)
    it.server.askFor(it.server.atom('CLIPBOARD'), it.server.atom('UTF8_STRING'), requestor);
  const count = (opcode: number): number => it.server.requests.filter((one) => one.readUInt8(0) === opcode).length;
  // All are answered, but the text is not given to all.
  await expect.poll(() => count(25)).toBe(1202);
  expect(count(18)).toBe(1001);
});

it.each([
  ['masked, and asked for more than once', true],
  ['over, because the next took its place', false],
])('answers every request, also for a text that is %s', async (_what, masked) => {
  const it = await desk((server) => {
    const clipboard = server.atom('CLIPBOARD');
    // Two programs ask in the same moment.
    fetchText(server, clipboard);
    const owner = server.owners.get(clipboard) ?? 0;
    for (const _again of [1, 2, 3])
      server.send(event(30, words(0, owner, requestor, clipboard, server.atom('TARGETS'), 9)));
  });
  for (const text of ['one', 'two']) expect(await it.clipboard.paste({ text, masked })).toBe(true);
  const answers = (): number => it.server.requests.filter((request) => request.readUInt8(0) === 25).length;
  await expect.poll(answers).toBe(10);
});
