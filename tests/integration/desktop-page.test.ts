/** The hands at a desktop in a real browser: paste, letters of other scripts, "Type this", copy out, sizes, and what is said of them. */
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Session, sessionSteps, type StepName } from '@airlock/contract/session';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin, expectAccessible, openDashboard, screenshots } from '../support/built-dashboard.js';
import { playDesktop, type StandInDesktop } from '../support/stand-in-desktop.js';

const id = 'ses_0123456789abcdef';
/** An address that browsers do not trust with a clipboard: http://, and not loopback. */
const plainOrigin = 'http://airlock.example';
const terminal = { columns: 80, lines: ['$ codex login', 'Starting local login server on http://localhost:1455.', ''] };

let browser: Browser;
let page: Page;
let desktop: StandInDesktop;

const soon = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();
function session(): Session {
  const at = new Date().toISOString();
  return Session.parse({
    ...{
      id,
      sessionId: id,
      provider: 'codex',
      status: 'awaiting_user_auth',
      revision: 1,
      createdAt: at,
      updatedAt: at,
    },
    ...{ deadlineAt: soon(200), expiresAt: soon(200), expiresAtMost: soon(1500), destroyAt: null },
    ...{ browserVmId: 'vm_0123456789abcdef', cliVmId: null, desktopReady: true, notice: null, error: null },
    login: { method: 'browser', deviceCode: null, takesCode: false },
    steps: Object.entries(sessionSteps).map(([name, title]) => {
      return { name: name as StepName, title, status: 'waiting', startedAt: null, finishedAt: null, detail: null };
    }),
  });
}

async function open(origin = plainOrigin, options: BrowserContextOptions = {}, platform?: string): Promise<void> {
  page = await openDashboard(
    browser,
    ({ call }) => {
      if (call === `GET /api/vm/auth/${id}/terminal`) return terminal;
      if (call !== 'GET /api/me') return session();
      return { user: { id: 'usr_0123456789abcdef', name: 'ada', role: 'user', proxyPort: 10001, createdAt: soon(0) } };
    },
    options,
  );
  desktop = await playDesktop(page);
  await page.addInitScript((name) => {
    if (name !== undefined) Object.defineProperty(Navigator.prototype, 'platform', { get: () => name });
  }, platform);
  await page.goto(`${origin}/dashboard/remote-cli/auth?session=${id}`);
  await connected();
  await canvas().focus();
}
const canvas = () => page.getByTestId('desktop').locator('canvas');
const connected = (): Promise<void> => page.locator('[data-testid=desktop][data-state=connected]').waitFor();
const notice = () => page.getByTestId('desktop-notice');

/** Onto the one clipboard of this browser, as another program of the person would. */
async function putOnClipboard(text: string): Promise<void> {
  const other = await browser.newPage();
  await other.setContent('<textarea></textarea>');
  await other.locator('textarea').fill(text);
  await other.locator('textarea').press('Control+a');
  await other.locator('textarea').press('Control+c');
  await other.close();
  await page.bringToFront();
}
/** What is on that clipboard. */
async function clipboard(): Promise<string> {
  const other = await browser.newPage();
  await other.setContent('<textarea></textarea>');
  await other.locator('textarea').press('Control+v');
  const text = await other.locator('textarea').inputValue();
  await other.close();
  await page.bringToFront();
  return text;
}
const pasted = (): string[] => desktop.got.filter((one) => one.includes('<'));
/** A key as a browser tells it. */
const tell = (init: KeyboardEventInit, types = ['keydown', 'keyup']): Promise<void> =>
  canvas().evaluate(
    (element, [event, all]) => {
      for (const type of all) {
        element.dispatchEvent(
          new KeyboardEvent(type, { ...event, bubbles: true, cancelable: true } as KeyboardEventInit),
        );
      }
    },
    [init as Record<string, string | number | boolean>, types] as const,
  );

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(() => page.context().close());

describe('a paste into the desktop', () => {
  const text = `Ünï日本€😀\n\ttabs ${'x'.repeat(4096)}`;

  it.each(['Control+v', 'Control+Shift+v', 'Shift+Insert', 'Meta+v'])(
    'by %s brings exactly the text, over http:// too, and asks for no permission',
    async (chord) => {
      await open();
      expect(await page.evaluate(() => [isSecureContext, 'clipboard' in navigator])).toEqual([false, false]);
      await putOnClipboard(text);
      if (chord === 'Meta+v') {
        // Chromium for Linux pastes by no such chord: what the event does, once the chord has put the keyboard there.
        await canvas().evaluate((element, value) => {
          const data = new DataTransfer();
          data.setData('text/plain', value);
          element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
        }, text);
      } else await page.keyboard.press(chord);
      await expect.poll(pasted).toEqual([`<${text}>`]);
      expect(desktop.got.filter((one) => /^v/i.test(one))).toEqual([]);
      await page.keyboard.press('Enter');
      await expect.poll(() => desktop.got.at(-1)).toBe('0xff0d↑');
    },
  );

  it('is before the keys that are typed after it', async () => {
    await open();
    await putOnClipboard('one');
    let go = (): void => undefined;
    desktop.gate = new Promise((resolve) => (go = resolve));
    await page.keyboard.press('Control+v');
    await tell({ key: 'я', code: 'KeyZ' });
    await page.keyboard.type('x');
    await page.keyboard.press('Enter');
    await expect.poll(pasted).toEqual(['<one>']);
    desktop.got.length = 0;
    go();
    await expect.poll(() => desktop.got.at(-1)).toBe('0xff0d↑');
    expect(desktop.got.filter((one) => !one.startsWith('0xffe'))).toEqual(['masked <яx>', '0xff0d↓', '0xff0d↑']);
  });

  it('is behind the keys that were typed before it, however slow the desktop takes them', async () => {
    await open();
    await putOnClipboard('one');
    let go = (): void => undefined;
    desktop.slow = new Promise((resolve) => (go = resolve));
    await page.keyboard.type('ab');
    await page.keyboard.press('Control+v');
    await page.keyboard.type('c');
    // Whatever the page has asked for is there by now.
    await page.evaluate(async () => fetch('/healthz'));
    go();
    await expect.poll(() => desktop.got.at(-1)).toBe('c↑');
    expect(desktop.got.filter((one) => !one.startsWith('0xffe'))).toEqual([
      ...['a↓', 'a↑', 'b↓', 'b↑', '<one>', 'c↓', 'c↑'],
    ]);
  });

  it('that nothing took, or that is of nothing, says so', async () => {
    await open();
    await putOnClipboard('lost');
    desktop.fetches = false;
    await page.keyboard.press('Control+v');
    await expect
      .poll(() => notice().textContent())
      .toContain('Nothing on the desktop took the text. Click into a field');
    await screenshots(page, 'desktop-paste-lost');
  });
});

describe('keys of the person', () => {
  it('of 27 letters of another script all arrive, each once and in order', async () => {
    await open();
    const letters = 'абвгдежзийклмнопрстуфхцчшщъ';
    for (const key of letters) await tell({ key, code: 'KeyA' });
    await expect
      .poll(() =>
        pasted()
          .join('')
          .replaceAll(/masked |[<>]/g, ''),
      )
      .toBe(letters);
    expect(desktop.got.filter((one) => !one.includes('<'))).toEqual([]);
  });

  it('of all of ASCII, of Latin letters and with AltGr stay keys', async () => {
    await open();
    const ascii = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
    for (const key of `${ascii}éß`) await tell({ key, code: 'KeyA' });
    await tell({ key: 'Dead', code: 'Quote' });
    await tell({ key: 'á', code: 'KeyA' });
    await tell({ key: '@', code: 'KeyQ', modifierAltGraph: true, ctrlKey: true, altKey: true });
    const keys = Array.from(`${ascii}éßá@`).flatMap((key) => [`${key}↓`, `${key}↑`]);
    await expect.poll(() => desktop.got).toEqual(keys);
  });

  it('that an input method takes are letters of their code, and the page says so', async () => {
    await open();
    await tell({ key: 'Process', code: 'KeyH', keyCode: 229 } as KeyboardEventInit);
    await tell({ key: 'Process', code: 'KeyI', keyCode: 229, shiftKey: true } as KeyboardEventInit);
    await expect.poll(() => desktop.got).toEqual(['h↓', 'h↑', 'I↓', 'I↑']);
    await notice().getByText('input method is on').waitFor();
  });

  it('with Ctrl mean the key, whatever script is on it', async () => {
    await open();
    await tell({ key: 'ф', code: 'KeyA', ctrlKey: true });
    await expect.poll(() => desktop.got).toEqual(['a↓', 'a↑']);
  });

  it('of a phone are typed, with smart punctuation plain again', async () => {
    await open(plainOrigin, { viewport: { width: 390, height: 844 }, hasTouch: true });
    await page.getByTestId('keyboard').tap();
    const field = page.getByLabel('Type here to type on the desktop');
    const before = await field.inputValue();
    desktop.got.length = 0;
    for (const value of ['a', 'a“', 'a“b', 'a“b’', 'a“b’c', 'a“b’c-', 'a“b’c—', 'a“b’c—d']) {
      await field.fill(before + value);
    }
    const keys = Array.from('a"b\'c--d').flatMap((key) => [`${key}↓`, `${key}↑`]);
    await expect.poll(() => desktop.got).toEqual(keys);
  });

  it('of a Mac: Cmd is Ctrl, a key whose release it does not tell is released, and Option makes characters', async () => {
    await open(plainOrigin, {}, 'MacIntel');
    const keys = async (act: () => Promise<void>): Promise<string[]> => {
      desktop.got.length = 0;
      await act();
      await tell({ key: '.', code: 'Period' });
      await expect.poll(() => desktop.got.at(-1)).toBe('.↑');
      return desktop.got.slice(0, -2);
    };
    const meta = { metaKey: true };
    const hold = { key: 'Meta', code: 'MetaLeft' };
    const all = await keys(async () => {
      await tell({ key: 's', code: 'KeyS' }, ['keydown']);
      await tell({ ...hold, ...meta }, ['keydown']);
      await tell({ key: 'a', code: 'KeyA', ...meta }, ['keydown']);
      await tell({ key: 'z', code: 'KeyZ', ...meta, shiftKey: true }, ['keydown']);
      await tell(hold, ['keyup']);
    });
    const [control, shift] = ['0xffe3', '0xffe1'];
    expect(all).toEqual([
      ...['s↓', 's↑', `${control}↓`, 'a↓', 'a↑', `${control}↑`],
      ...[`${control}↓`, `${shift}↓`, 'Z↓', 'Z↑', `${shift}↑`, `${control}↑`],
    ]);
    const copied = await keys(async () => {
      await tell({ ...hold, ...meta }, ['keydown']);
      await tell({ key: 'c', code: 'KeyC', ...meta }, ['keydown']);
      await tell(hold, ['keyup']);
    });
    expect(copied).toEqual([`${control}↓`, '0xff63↓', '0xff63↑', `${control}↑`]);
    const typed = await keys(async () => {
      await tell({ key: 'Alt', code: 'AltLeft', altKey: true }, ['keydown']);
      await tell({ key: '@', code: 'KeyL', altKey: true });
      await tell({ key: 'Alt', code: 'AltLeft' }, ['keyup']);
      await tell({ key: 'S', code: 'KeyS', shiftKey: true });
    });
    expect(typed).toEqual(['@↓', '@↑', 'S↓', 'S↑']);
  });

  it('leave the desktop, with nothing held there', async () => {
    await open();
    await page.keyboard.press('Shift+F6');
    expect(await page.evaluate(() => document.activeElement?.closest('nav')?.ariaLabel)).toBe('Tools of the desktop');
    await expect.poll(() => desktop.got).toEqual(['0xffe1↓', '0xffe1↑']);
    const name = await canvas().getAttribute('aria-label');
    expect(name).toContain('Shift+F6 leaves it');
  });
});

describe('“Type this”', () => {
  it.each([
    ['key by key where the keyboard has all of it', 'Pa$$ ö€"', false],
    ['by a masked paste otherwise', 'пароль', true],
  ])('types %s, and keeps nothing', async (_how, secret, isPaste) => {
    await open();
    await page.getByTestId('type-this').click();
    const field = page.getByTestId('type-this-text');
    expect(await field.evaluate((input: HTMLInputElement) => [input.type, input.autocomplete, input.form])).toEqual([
      ...['password', 'off', null],
    ]);
    await field.fill(secret);
    await screenshots(page, 'desktop-type-this');
    await field.fill(secret);
    desktop.got.length = 0;
    await page.getByRole('button', { name: 'Type it' }).click();
    await notice().getByText('It was typed').waitFor();
    if (isPaste) expect(desktop.got).toEqual([`masked <${secret}>`]);
    else expect(desktop.got.filter((one) => one.endsWith('↓'))).toHaveLength(secret.length);
    expect(await field.count()).toBe(0);
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    expect(kept + (await page.content())).not.toContain(secret);
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('CANVAS');
  });

  it('is empty when the keyboard has left it', async () => {
    await open();
    await page.getByTestId('type-this').click();
    await page.getByTestId('type-this-text').fill('secret');
    await page.getByTestId('copy-out').focus();
    expect(await page.getByTestId('type-this-text').inputValue()).toBe('');
  });
});

describe('copying out', () => {
  it.each([plainOrigin, dashboardOrigin])('brings what was copied to the person’s clipboard, at %s', async (origin) => {
    await open(origin);
    await page.getByTestId('copy-out').click();
    await notice().getByText('Nothing has been copied').waitFor();
    desktop.copied = 'Ünï日本€😀\nline';
    await page.getByTestId('copy-out').click();
    await notice().getByText('On your own clipboard now').waitFor();
    expect(await clipboard()).toBe(desktop.copied);
  });

  it('shows the text where the browser refuses', async () => {
    await open();
    await page.evaluate(() => (document.execCommand = () => false));
    desktop.copied = 'by hand';
    await page.getByTestId('copy-out').click();
    const field = page.getByTestId('copied-text');
    expect(await field.inputValue()).toBe('by hand');
    await screenshots(page, 'desktop-copied');
    await page.getByRole('button', { name: 'Close' }).click();
    expect(await field.count()).toBe(0);
  });
});

describe('the size of the desktop', () => {
  it('follows the window and the choice, which stays', async () => {
    await open();
    await expect.poll(() => desktop.sizes.length).toBe(1);
    const [width, height] = (desktop.sizes[0] ?? '').split('x').map(Number);
    expect([width, (height ?? 0) > 500 && (height ?? 0) < 800]).toEqual([1280, true]);
    await page.setViewportSize({ width: 1600, height: 1000 });
    await expect.poll(() => desktop.sizes.at(-1)).toMatch(/^1600x/);
    await page.getByTestId('desktop-size').selectOption('large');
    await expect.poll(() => desktop.sizes.at(-1)).toMatch(/^1920x/);
    await page.getByTestId('desktop-size').selectOption('small');
    await expect.poll(() => desktop.sizes.at(-1)).toMatch(/^1024x/);
    const asked = desktop.sizes.length;
    await desktop.drop();
    await expect.poll(() => desktop.views).toBe(2);
    await connected();
    expect(desktop.sizes).toHaveLength(asked);
    await page.reload();
    await connected();
    await expect.poll(() => desktop.sizes.length).toBe(asked + 1);
    expect(desktop.sizes.at(-1)).toMatch(/^1024x/);
  });

  it('is upright on an upright phone', async () => {
    await open(plainOrigin, { viewport: { width: 390, height: 844 }, hasTouch: true });
    await expect.poll(() => desktop.sizes.length).toBe(1);
    const [width = 0, height = 0] = (desktop.sizes[0] ?? '').split('x').map(Number);
    expect([width, height > width]).toEqual([540, true]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    await screenshots(page, 'desktop');
  });
});

describe('a window of 640 × 400, as at 200 % zoom', () => {
  it('has everything of the desktop within reach', async () => {
    await open(plainOrigin, { viewport: { width: 640, height: 400 } });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(640);
    for (const tool of ['type-this', 'copy-out', 'show-terminal', 'desktop-size', 'extend']) {
      await page.getByTestId(tool).scrollIntoViewIfNeeded();
      expect(await page.getByTestId(tool).boundingBox()).toMatchObject({ height: expect.any(Number) as number });
    }
    await canvas().scrollIntoViewIfNeeded();
    const box = await page.getByTestId('desktop').boundingBox();
    expect(box?.height).toBeGreaterThan(200);
    await page.getByTestId('type-this').click();
    await page.getByRole('button', { name: 'Type it' }).click({ trial: true });
    await expectAccessible(page, 'at 200 %');
    const folder = process.env['TEST_SCREENSHOTS'];
    if (folder !== undefined) await page.screenshot({ path: join(folder, 'desktop-zoomed.png') });
  });
});

describe('the terminal of the login', () => {
  it('is shown while it is asked for, and takes no key', async () => {
    await open();
    expect(await page.locator('script[src*=terminal-view], link[href*=terminal-view]').count()).toBe(0);
    await page.getByTestId('show-terminal').click();
    await page.getByTestId('login-terminal').getByText('Starting local login server').first().waitFor();
    await screenshots(page, 'desktop-terminal');
    await page.getByRole('button', { name: 'Close' }).click();
    expect(await page.getByTestId('login-terminal').count()).toBe(0);
  });
});

describe('a connection that is lost', () => {
  it('is said within two seconds, also when the network only falls silent', async () => {
    await open();
    desktop.isThere = false;
    const start = Date.now();
    await page.getByText('Airlock does not answer.').waitFor();
    expect(Date.now() - start).toBeLessThan(2300);
    desktop.isThere = true;
    await connected();
    await desktop.drop();
    await page.getByText('The connection to the desktop dropped.').waitFor({ timeout: 2000 });
    await connected();
  });
});
