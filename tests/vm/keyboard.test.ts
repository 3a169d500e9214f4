/** What a person does with their hands in the desktop: paste and copy, keys, pop-ups, sizes; in one VM, with the image's own programs. */
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { desktopSizes, keyboardCharacters, layoutOf, type DesktopSize } from '@airlock/contract/desktop';
import { shareOf } from '@airlock/image-builder/gate/judge';
import { createTestHome, type TestHome } from '../support/home.js';
import { clickCanvas, pressKey, waitForColour } from '../support/canvas.js';
import { fieldAt, openKeyboardDesk, pageTop, type Field, type KeyboardDesk } from '../support/keyboard.js';
import { until } from '../support/poll.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';

const sample = 'Ünï日本€😀';
const long = Array.from({ length: 64 }, (_, line) => `${line}\t${sample} ${'x'.repeat(48)}`).join('\n');
const letters = 'αβγδεζηθικλμнопрстуфхцчшщъы';
const cycles = Number(process.env['TEST_CYCLES'] ?? 5);
const terminalColour = [0x1d, 0x24, 0x2c] as const;
const unprintable = { numLock: 0xff7f, capsLock: 0xffe5, keypad1: 0xffb1 };

let before: Snapshot;
let home: TestHome;
let desk: KeyboardDesk;

beforeAll(async () => {
  home = await createTestHome();
  before = await takeSnapshot({ home: home.path });
  desk = await openKeyboardDesk(home);
}, 480_000);
afterAll(async () => {
  await (desk as KeyboardDesk | undefined)?.close();
  await home.remove();
});

describe('a paste', () => {
  it.each<[Field, string]>([
    ['input', sample],
    ['password', sample],
    ['textarea', long],
    ['editable', `one\n\ttwo ${sample}`],
  ])('is exact in a field of the browser: %s', async (field, text) => {
    await desk.focus(field);
    expect(await desk.paste(text)).toBe(true);
    await desk.untilTold('the text to be in the field', (told) => told[field] === text);
  });

  it('is exact in the terminal, with line ends and tabs', async () => {
    await desk.focusTerminal();
    const told = await desk.terminalFile(async () => expect(await desk.paste(long)).toBe(true));
    expect(told).toBe(`${long}\n`);
  });

  it('is the newest, ten times in a row', async () => {
    await desk.focus('textarea');
    const texts = Array.from({ length: 10 }, (_, turn) => `${turn}${sample}\n`);
    for (const text of texts) expect(await desk.paste(text)).toBe(true);
    await desk.untilTold('all ten, in order', ({ textarea }) => textarea === texts.join(''));
  });

  it('brings 27 letters of other scripts in one session', async () => {
    await desk.focus('input');
    expect(letters).toHaveLength(27);
    for (const letter of letters) expect(await desk.paste(letter)).toBe(true);
    await desk.untilTold('all letters', ({ input }) => input === letters);
  });

  it('that is masked leaves the clipboard empty, and is not what was copied', async () => {
    await desk.focus('password');
    expect(await desk.paste('correct horse', true)).toBe(true);
    await desk.untilTold('the password', ({ password }) => password === 'correct horse');
    await desk.focus('input');
    desk.rfb().press('Shift', 'Insert');
    desk.rfb().type('end');
    await desk.untilTold('nothing but what was typed', ({ input }) => input === 'end');
    expect(await desk.copied()).not.toBe('correct horse');
  });
});

it('what is copied in the browser comes out', async () => {
  await desk.focus('textarea');
  await desk.paste(long);
  await desk.untilTold('the text', ({ textarea }) => textarea === long);
  desk.rfb().press('Control', 'a');
  desk.rfb().press('Control', 'c');
  await expect.poll(() => desk.copied(), { timeout: 30_000, interval: 500 }).toBe(long);
});

describe('keys', () => {
  const ascii = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
  it.each([
    ['of ASCII', ascii],
    ['beyond it that the keyboard has', keyboardCharacters],
  ])('%s type what is on them', async (_what, text) => {
    await desk.focus('input');
    desk.rfb().type(text);
    const told = await desk.untilTold('all of them', ({ input }) => input.length === text.length);
    expect(told.input).toBe(text);
  });

  it('of the keypad with Num Lock, and letters with Caps Lock, are as the person’s own keyboard makes them', async () => {
    await desk.focus('input');
    const { rfb } = desk;
    rfb().pressKeysym(unprintable.numLock);
    for (let digit = 0; digit < 6; digit += 1) rfb().pressKeysym(unprintable.keypad1 + digit);
    rfb().pressKeysym(unprintable.capsLock);
    rfb().type('HELLO');
    rfb().pressKeysym(unprintable.capsLock);
    const told = await desk.untilTold('what was typed', ({ input }) => input.length === 11);
    expect(told.input).toBe('123456HELLO');
  });
});

describe('windows', () => {
  it('a pop-up has a frame and a close button, lies within the screen, and gives the keyboard back', async () => {
    await desk.focus('input');
    desk.click('popup');
    const { popup } = await desk.untilTold('a pop-up in its place', (told) => (told.popup?.y ?? 0) > 0);
    if (popup === null) throw new Error('no pop-up');
    expect(popup.width).toBe(500);
    expect([popup.x > 0, popup.x + popup.width < desktopSizes.usual.width, popup.y > 15]).toEqual([true, true, true]);
    desk.rfb().click(popup.x + popup.width - 10, popup.y - 11);
    await desk.untilTold(
      'the pop-up to be closed, and the keyboard to be back where it was pressed',
      (told) => told.popup === null && told.focus === 'popup',
    );
  });

  it('of a browser opened besides has a frame by which it is closed, and Alt+F4 closes none', async () => {
    await desk.focus('input');
    desk.rfb().press('Alt', 'F4');
    desk.rfb().press('Alt', 'Tab');
    desk.rfb().press('Control', 'n');
    await desk.untilTold('another window to have the keyboard', ({ focus }) => focus === '');
    const { width } = layoutOf(desktopSizes.usual).browser;
    // Where its frame has the button; without a frame that is the strip of tabs.
    const isClosed = async (): Promise<boolean> => {
      desk.rfb().click(width - 10, 11);
      return desk.told().focus === 'input';
    };
    await until('the frame to close it, and the field to have the keyboard again', isClosed, {
      timeoutMs: 60_000,
      intervalMs: 1000,
    });
  });

  it('come back by themselves when a program makes them icons', async () => {
    const { hidden } = desk.told();
    await desk.focusTerminal();
    expect(await desk.terminalFile(async () => desk.paste(iconify))).toContain('WM_CHANGE_STATE');
    desk.rfb().type('node $F\n');
    await desk.untilTold('the page to be hidden', (told) => told.hidden > hidden);
    await desk.focus('input');
    await desk.focusTerminal();
  });

  it('the terminal is maximised and restored by its title', async () => {
    const { terminal } = layoutOf(desktopSizes.usual);
    await desk.focusTerminal();
    desk.rfb().type('clear\n');
    const corner = { x: 40, y: 500, width: 200, height: 200 };
    const isOver = async (): Promise<boolean> => {
      const { data, ...image } = await desk.rfb().capture();
      return shareOf({ ...image, data: Buffer.from(data) }, corner, terminalColour) > 0.9;
    };
    const toggle = async (x: number, over: boolean): Promise<void> => {
      for (const _click of [1, 2]) desk.rfb().click(x, terminal.y + 10);
      const isDone = async (): Promise<boolean> => (await isOver()) === over;
      await until(`the terminal ${over ? 'over' : 'beside'} the browser`, isDone, { timeoutMs: 30_000 });
    };
    expect(await isOver()).toBe(false);
    // Several times: the agent looks after the windows meanwhile, and is not to take one that is being made large for one that is lost.
    for (let round = 0; round < 4; round += 1) {
      await toggle(terminal.x + 200, true);
      await toggle(600, false);
    }
  });
});

it('scripts that many people read are drawn, each letter as its own', async () => {
  expect(desk.told().unreadable).toEqual([]);
});

it('the browser draws WebGL, in software', () => {
  expect(desk.told().webgl).toContain('SwiftShader');
});

describe('a size', () => {
  const random = (low: number, high: number): number => low + Math.floor(Math.random() * (high - low + 1));
  const { smallest, usual, largest } = desktopSizes;
  const some = Array.from({ length: 3 }, () => ({
    width: random(smallest.width, largest.width),
    height: random(smallest.height, largest.height),
  }));

  async function has(size: DesktopSize): Promise<void> {
    await desk.resize(size);
    // x11vnc hears of it a moment later.
    const rfb = await until(
      'a desktop of that size',
      async () => {
        const now = await desk.reconnect();
        return now.width === size.width && now.height === size.height && now;
      },
      { timeoutMs: 5000 },
    );
    const { browser, terminal } = layoutOf(size);
    await desk.untilTold(
      'the browser to be as large as its place',
      ({ width, height }) => width === browser.width && height === browser.height,
    );
    const inside = { x: terminal.x + 40, y: terminal.y + terminal.height - 80, width: 200, height: 40 };
    const picture = await rfb.waitFor(
      'the terminal in its place',
      ({ data, ...image }) => shareOf({ ...image, data: Buffer.from(data) }, inside, terminalColour) > 0.8,
      30_000,
    );
    // What another viewer gets, who has seen nothing of the change.
    const other = await (await desk.reconnect()).capture();
    expect([other.width, other.height]).toEqual([picture.width, picture.height]);
  }

  it.each([
    ['landscape', { width: 1920, height: 1080 }],
    ['portrait, browser above terminal', { width: 500, height: 1080 }],
    ['the smallest', smallest],
    ['the largest', largest],
    ['the usual one again', usual],
  ])('%s: screen and both windows have it', async (_what, size) => {
    await has(size);
    expect(desk.told()).toMatchObject({ height: layoutOf(size).browser.height });
  });

  it(`of any kind, ${cycles} in a row, and the next is as exact as the first`, async () => {
    for (let turn = 0; turn < cycles; turn += 1)
      await desk.resize({
        width: random(smallest.width, largest.width),
        height: random(smallest.height, largest.height),
      });
    for (const size of some) await has(size);
    await has(usual);
    expect(desk.told().width).toBe(layoutOf(usual).browser.width);
  }, 300_000);
});

describe('through the page', () => {
  let page: Page;
  const canvas = () => page.getByTestId('desktop').locator('canvas');
  const notice = () => page.getByTestId('desktop-notice');
  /** A key as a browser of another keyboard, or with an input method, tells it. */
  const tell = async (...events: object[]): Promise<void> =>
    canvas().evaluate((element, inits: object[]) => {
      for (const init of inits) {
        for (const type of ['keydown', 'keyup'])
          element.dispatchEvent(new KeyboardEvent(type, { ...init, bubbles: true, cancelable: true }));
      }
    }, events);
  /** With the person's mouse and keys alone. */
  async function focus(field: Field): Promise<void> {
    if (desk.told().focus !== field) await clickCanvas(canvas(), fieldAt[field].x, fieldAt[field].y + pageTop);
    await desk.untilTold(`${field} to have the keyboard`, (told) => told.focus === field);
    await pressKey(canvas(), 'Control+a');
    await pressKey(canvas(), 'Delete');
    await desk.untilTold(`${field} to be empty`, (told) => told[field].trim() === '');
  }
  /** Onto the one clipboard of this browser, as another program of the person would; or from there. */
  async function clipboard(text?: string): Promise<string> {
    const other = await page.context().newPage();
    await other.setContent('<textarea></textarea>');
    if (text !== undefined) await other.locator('textarea').fill(text);
    if (text !== undefined) await other.locator('textarea').press('Control+a');
    await other.locator('textarea').press(text === undefined ? 'Control+v' : 'Control+c');
    const now = await other.locator('textarea').inputValue();
    await other.close();
    await page.bringToFront();
    return now;
  }

  async function copyOut(): Promise<string> {
    await page.getByTestId('copy-out').click();
    await notice().getByText('On your own clipboard now').waitFor();
    return clipboard();
  }

  beforeAll(async () => {
    page = await desk.page({ viewport: { width: 1280, height: 800 } });
  }, 120_000);

  it('Ctrl+V brings the person’s text into a field, and “Copy out” brings it back', async () => {
    await clipboard(long);
    await focus('textarea');
    await page.keyboard.type('a');
    await page.keyboard.press('Control+v');
    await page.keyboard.type('z');
    await desk.untilTold('the text in its place', ({ textarea }) => textarea === `a${long}z`);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Control+c');
    await clipboard('something else');
    await expect.poll(copyOut, { timeout: 30_000, interval: 1000 }).toBe(`a${long}z`);
  });

  it('27 letters of other scripts, digits of the keypad, Caps Lock and an input method type what they mean', async () => {
    await focus('input');
    await tell(...[...letters].map((key) => ({ key, code: 'KeyA' })));
    await tell(...[...'123456'].map((key) => ({ key, code: `Numpad${key}`, location: 3 })));
    await tell(...[...'HELLO'].map((key) => ({ key, code: `Key${key}`, modifierCapsLock: true })));
    await tell({ key: 'Process', code: 'KeyH', keyCode: 229 });
    await page.keyboard.type(`a"b'c--d`);
    const wanted = `${letters}123456HELLOha"b'c--d`;
    const { input } = await desk.untilTold('all of them', (told) => told.input.length >= wanted.length);
    expect(input).toBe(wanted);
  });

  async function typeThis(secret: string): Promise<void> {
    await page.getByTestId('type-this').click();
    await page.getByTestId('type-this-text').fill(secret);
    await page.getByRole('button', { name: 'Type it' }).click();
  }
  const secrets = ['Pa$$ ö€"', `пароль ${sample}`, 'αβγδεζηθικλμνξοπρστυ'];

  it.each(secrets)('“Type this” types %s into a field, and no clipboard has held it', async (secret) => {
    // The desktop has the size of the page's window by now.
    await desk.reconnect();
    await desk.focus('textarea');
    await desk.paste('there before');
    await desk.untilTold('it to be there', ({ textarea }) => textarea === 'there before');
    desk.rfb().press('Control', 'a');
    desk.rfb().press('Control', 'c');
    await expect.poll(() => desk.copied(), { timeout: 30_000, interval: 500 }).toBe('there before');
    await focus('password');
    await typeThis(secret);
    const { password } = await desk.untilTold('all of it', (told) => told.password.length >= secret.length);
    expect(password).toBe(secret);
    expect(await desk.copied()).toBe('there before');
    await focus('input');
    // Into the desktop itself: on the page it is the person's own clipboard that these keys paste.
    desk.rfb().press('Shift', 'Insert');
    desk.rfb().type('end');
    const { input } = await desk.untilTold('what was typed after', (told) => told.input.endsWith('end'));
    expect(input.replace('there before', '')).toBe('end');
  });

  it('the terminal of the login shows what the CLI says, without its secrets', async () => {
    await page.getByTestId('show-terminal').click();
    await page.getByTestId('login-terminal').getByText('Starting local login server').first().waitFor();
    await keepPicture('keyboard-terminal');
    expect(await page.getByTestId('login-terminal').textContent()).not.toContain('state=');
    await page.getByRole('button', { name: 'Close' }).click();
  });

  it.each([
    ['1280x800', { width: 1280, height: 800 }, true],
    ['1920x1080', { width: 1920, height: 1080 }, true],
    ['phone', { width: 390, height: 844 }, false],
  ])('a window of %s gets a desktop of its shape, with both windows on it', async (name, viewport, isWide) => {
    await page.setViewportSize(viewport);
    await desk.untilTold('the browser to have its place', async ({ width, height }) => {
      const [size, place] = await Promise.all([shapeOf(canvas()), page.getByTestId('desktop').boundingBox()]);
      if (place === null || Math.abs(size.width / size.height - place.width / place.height) > 0.01) return false;
      const { browser } = layoutOf(size);
      return size.width > size.height === isWide && width === browser.width && height === browser.height;
    });
    await waitForColour(
      canvas(),
      { r: 0x1d, g: 0x24, b: 0x2c },
      { timeoutMs: 30_000, tolerance: 8, minPixels: 50_000 },
    );
    await keepPicture(`keyboard-${name}`);
  });

  async function keepPicture(name: string): Promise<void> {
    const folder = process.env['TEST_SCREENSHOTS'];
    if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) });
  }
});

it('nothing is left of the VM', async () => {
  await desk.close();
  await untilNoLeaks(before, 20_000);
}, 90_000);

/** Pixels of the desktop. */
const shapeOf = (canvas: Locator): Promise<DesktopSize> =>
  canvas.evaluate((element) => {
    const { width, height } = element as HTMLCanvasElement;
    return { width, height };
  });

/** A program as small as it gets: makes every window of the desktop an icon, by the window manager. */
const iconify = String.raw`const s = require('net').connect('/tmp/.X11-unix/X0');
const w = (...v) => Buffer.from(Uint32Array.from(v).buffer);
const atom = (n) => { const b = Buffer.alloc(Math.ceil(n.length / 4) * 4); b.write(n); return Buffer.concat([Buffer.from([16, 0, 2 + b.length / 4, 0, n.length, 0, 0, 0]), b]); };
let root, state, bytes = Buffer.alloc(0), step = 0;
s.write(Buffer.from([108, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
s.on('data', (d) => { bytes = Buffer.concat([bytes, d]);
if (step === 0 && bytes.length >= 8 && bytes.length >= 8 + 4 * bytes.readUInt16LE(6)) { root = bytes.readUInt32LE(40 + Math.ceil(bytes.readUInt16LE(24) / 4) * 4 + 8 * bytes[29]); bytes = Buffer.alloc(0); step = 1; s.write(Buffer.concat([atom('WM_CHANGE_STATE'), atom('_NET_CLIENT_LIST')])); }
if (step === 1 && bytes.length >= 64) { state = bytes.readUInt32LE(8); const list = bytes.readUInt32LE(40); bytes = Buffer.alloc(0); step = 2; s.write(Buffer.concat([Buffer.from([20, 0, 6, 0]), w(root, list, 0, 0, 64)])); }
if (step === 2 && bytes.length >= 32 && bytes.length >= 32 + 4 * bytes.readUInt32LE(4)) { for (let i = 0; i < bytes.readUInt32LE(16); i++) s.write(Buffer.concat([Buffer.from([25, 0, 11, 0]), w(root, 0x180000), Buffer.from([33, 32, 0, 0]), w(bytes.readUInt32LE(32 + 4 * i), state, 3, 0, 0, 0, 0)])); s.end(); } });`;
