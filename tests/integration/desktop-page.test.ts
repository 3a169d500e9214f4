/** The hands at a desktop in a real browser: paste, "Type this", copy out, sizes, and what is said of them. */
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin, expectAccessible, screenshots } from '../support/built-dashboard.js';
import { openDesktopPage, plainOrigin, type DesktopPage, type DesktopPageOptions } from '../support/desktop-page.js';

let browser: Browser;
let at: DesktopPage;

const open = async (options?: DesktopPageOptions): Promise<void> => {
  at = await openDesktopPage(browser, options);
};

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(() => at.page.context().close());

describe('a paste into the desktop', () => {
  const text = `Ünï日本€😀\n\ttabs ${'x'.repeat(4096)}`;

  it.each(['Control+v', 'Control+Shift+v', 'Shift+Insert', 'Meta+v'])(
    'by %s brings exactly the text, over http:// too, and asks for no permission',
    async (chord) => {
      await open();
      expect(await at.page.evaluate(() => [isSecureContext, 'clipboard' in navigator])).toEqual([false, false]);
      await at.putOnClipboard(text);
      if (chord === 'Meta+v') {
        // Chromium for Linux pastes by no such chord: what the event does, once the chord has put the keyboard there.
        await at.canvas.evaluate((element, value) => {
          const data = new DataTransfer();
          data.setData('text/plain', value);
          element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
        }, text);
      } else await at.page.keyboard.press(chord);
      await expect.poll(at.pasted).toEqual([`<${text}>`]);
      expect(at.desktop.got.filter((one) => /^v/i.test(one))).toEqual([]);
      await at.page.keyboard.press('Enter');
      await expect.poll(() => at.desktop.got.at(-1)).toBe('0xff0d↑');
    },
  );

  it('is before the keys that are typed after it', async () => {
    await open();
    await at.putOnClipboard('one');
    let go = (): void => undefined;
    at.desktop.gate = new Promise((resolve) => (go = resolve));
    await at.page.keyboard.press('Control+v');
    await at.tell({ key: 'я', code: 'KeyZ' });
    await at.page.keyboard.type('x');
    await at.page.keyboard.press('Enter');
    await expect.poll(at.pasted).toEqual(['<one>']);
    at.desktop.got.length = 0;
    go();
    await expect.poll(() => at.desktop.got.at(-1)).toBe('0xff0d↑');
    expect(at.desktop.got.filter((one) => !one.startsWith('0xffe'))).toEqual(['masked <яx>', '0xff0d↓', '0xff0d↑']);
  });

  it('is behind the keys that were typed before it, however slow the desktop takes them', async () => {
    await open();
    await at.putOnClipboard('one');
    let go = (): void => undefined;
    at.desktop.slow = new Promise((resolve) => (go = resolve));
    await at.page.keyboard.type('ab');
    await at.page.keyboard.press('Control+v');
    await at.page.keyboard.type('c');
    // Whatever the page has asked for is there by now.
    await at.page.evaluate(async () => fetch('/healthz'));
    go();
    await expect.poll(() => at.desktop.got.at(-1)).toBe('c↑');
    expect(at.desktop.got.filter((one) => !one.startsWith('0xffe'))).toEqual([
      ...['a↓', 'a↑', 'b↓', 'b↑', '<one>', 'c↓', 'c↑'],
    ]);
  });

  it('that nothing took, or that is of nothing, says so', async () => {
    await open();
    await at.putOnClipboard('lost');
    at.desktop.fetches = false;
    await at.page.keyboard.press('Control+v');
    await expect
      .poll(() => at.notice.textContent())
      .toContain('Nothing on the desktop took the text. Click into a field');
    await screenshots(at.page, 'desktop-paste-lost');
    await at.canvas.evaluate((element) => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File(['not a text'], 'picture.png', { type: 'image/png' }));
      element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    });
    await at.notice.getByText('There is no text on your clipboard.').waitFor();
    expect(at.pasted()).toEqual(['<lost>']);
  });
});

describe('“Type this”', () => {
  it.each([
    ['key by key where the keyboard has all of it', 'Pa$$ ö€"', false],
    ['by the desktop itself otherwise', 'пароль', true],
    ['so with all of it when some of it is lacking', 'a日本€😀', true],
  ])('types %s, and keeps nothing', async (_how, secret, isByDesktop) => {
    await open();
    await at.page.getByTestId('type-this').click();
    const field = at.page.getByTestId('type-this-text');
    expect(await field.evaluate((input: HTMLInputElement) => [input.type, input.autocomplete, input.form])).toEqual([
      ...['password', 'off', null],
    ]);
    await field.fill(secret);
    await screenshots(at.page, 'desktop-type-this');
    await field.fill(secret);
    at.desktop.got.length = 0;
    await at.page.getByRole('button', { name: 'Type it' }).click();
    await at.notice.getByText('It was typed').waitFor();
    if (isByDesktop) expect(at.desktop.got).toEqual([`typed <${secret}>`]);
    else expect(at.desktop.got.filter((one) => one.endsWith('↓'))).toHaveLength(secret.length);
    expect(await field.count()).toBe(0);
    const kept = await at.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    expect(kept + (await at.page.content())).not.toContain(secret);
    expect(await at.page.evaluate(() => document.activeElement?.tagName)).toBe('CANVAS');
  });

  it('takes what is typed and pasted into it, and the desktop nothing of that', async () => {
    await open();
    await at.putOnClipboard('пароль');
    await at.page.getByTestId('type-this').click();
    at.desktop.got.length = 0;
    const field = at.page.getByTestId('type-this-text');
    await field.press('a');
    await field.press('Control+v');
    await expect.poll(() => field.inputValue()).toBe('aпароль');
    const isLeft = await field.evaluate((input) =>
      ['я', 'Process'].map((key) => input.dispatchEvent(new KeyboardEvent('keydown', { key, cancelable: true }))),
    );
    expect([isLeft, at.desktop.got]).toEqual([[true, true], []]);
  });

  it('is empty when the keyboard has left it', async () => {
    await open();
    await at.page.getByTestId('type-this').click();
    await at.page.getByTestId('type-this-text').fill('secret');
    await at.page.getByTestId('copy-out').focus();
    const field = at.page.getByTestId('type-this-text');
    expect(await field.inputValue()).toBe('');
    await field.press('Control+z');
    expect(await field.inputValue()).toBe('');
  });

  it('says when the desktop is gone, and not that it was typed', async () => {
    await open();
    await at.page.getByTestId('type-this').click();
    await at.page.getByTestId('type-this-text').fill('secret');
    at.desktop.isThere = false;
    await at.desktop.drop();
    await at.page.getByText('The connection to the desktop dropped. Trying again').waitFor();
    await at.page.getByRole('button', { name: 'Type it' }).click();
    await expect.poll(() => at.notice.textContent()).toContain('dropped before the text was known to be there');
  });
});

describe('copying out', () => {
  it.each([plainOrigin, dashboardOrigin])('brings what was copied to the person’s clipboard, at %s', async (origin) => {
    await open({ origin });
    await at.page.getByTestId('copy-out').click();
    await at.notice.getByText('Nothing has been copied').waitFor();
    at.desktop.copied = 'Ünï日本€😀\nline';
    await at.page.getByTestId('copy-out').click();
    await at.notice.getByText('On your own clipboard now').waitFor();
    expect(await at.clipboard()).toBe(at.desktop.copied);
  });

  it('shows the text where the browser refuses', async () => {
    await open();
    await at.page.evaluate(() => (document.execCommand = () => false));
    at.desktop.copied = 'by hand';
    await at.page.getByTestId('copy-out').click();
    const field = at.page.getByTestId('copied-text');
    expect(await field.inputValue()).toBe('by hand');
    await screenshots(at.page, 'desktop-copied');
    await at.page.getByRole('button', { name: 'Close' }).click();
    expect(await field.count()).toBe(0);
  });
});

describe('the size of the desktop', () => {
  it('follows the window and the choice, which stays', async () => {
    await open();
    await expect.poll(() => at.desktop.sizes.length).toBe(1);
    const [width, height] = (at.desktop.sizes[0] ?? '').split('x').map(Number);
    expect([width, (height ?? 0) > 500 && (height ?? 0) < 800]).toEqual([1280, true]);
    await at.page.setViewportSize({ width: 1600, height: 1000 });
    await expect.poll(() => at.desktop.sizes.at(-1)).toMatch(/^1600x/);
    await at.page.getByTestId('desktop-size').selectOption('large');
    await expect.poll(() => at.desktop.sizes.at(-1)).toMatch(/^1920x/);
    await at.page.getByTestId('desktop-size').selectOption('small');
    await expect.poll(() => at.desktop.sizes.at(-1)).toMatch(/^1024x/);
    const asked = at.desktop.sizes.length;
    await at.desktop.drop();
    await expect.poll(() => at.desktop.views).toBe(2);
    await at.connected();
    expect(at.desktop.sizes).toHaveLength(asked);
    await at.page.reload();
    await at.connected();
    await expect.poll(() => at.desktop.sizes.length).toBe(asked + 1);
    expect(at.desktop.sizes.at(-1)).toMatch(/^1024x/);
  });

  it('is upright on an upright phone', async () => {
    await open({ viewport: { width: 390, height: 844 }, hasTouch: true });
    await expect.poll(() => at.desktop.sizes.length).toBe(1);
    const [width = 0, height = 0] = (at.desktop.sizes[0] ?? '').split('x').map(Number);
    expect([width, height > width]).toEqual([540, true]);
    expect(await at.page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    const buttons = await at.page.locator('button:visible, select:visible').evaluateAll((all) =>
      all.flatMap((button) => {
        const { width, height } = button.getBoundingClientRect();
        return width < 40 || height < 40 ? [`${button.textContent}: ${width}×${height}`] : [];
      }),
    );
    expect(buttons, 'too small for a finger').toEqual([]);
    await screenshots(at.page, 'desktop');
  });
});

describe('a window of 640 × 400, as at 200 % zoom', () => {
  it('has everything of the desktop within reach', async () => {
    await open({ viewport: { width: 640, height: 400 } });
    expect(await at.page.evaluate(() => document.documentElement.scrollWidth)).toBe(640);
    for (const tool of ['type-this', 'copy-out', 'show-terminal', 'desktop-size', 'extend']) {
      await at.page.getByTestId(tool).scrollIntoViewIfNeeded();
      expect(await at.page.getByTestId(tool).boundingBox()).toMatchObject({ height: expect.any(Number) as number });
    }
    await at.canvas.scrollIntoViewIfNeeded();
    const box = await at.page.getByTestId('desktop').boundingBox();
    expect(box?.height).toBeGreaterThan(200);
    await at.page.getByTestId('type-this').click();
    await at.page.getByRole('button', { name: 'Type it' }).click({ trial: true });
    await expectAccessible(at.page, 'at 200 %');
    const folder = process.env['TEST_SCREENSHOTS'];
    if (folder !== undefined) await at.page.screenshot({ path: join(folder, 'desktop-zoomed.png') });
  });
});

describe('the terminal of the login', () => {
  it('is shown while it is asked for, and takes no key', async () => {
    await open();
    expect(await at.page.locator('script[src*=terminal-view], link[href*=terminal-view]').count()).toBe(0);
    await at.page.getByTestId('show-terminal').click();
    await at.page.getByTestId('login-terminal').getByText('Starting local login server').first().waitFor();
    await screenshots(at.page, 'desktop-terminal');
    await at.page.getByRole('button', { name: 'Close' }).click();
    expect(await at.page.getByTestId('login-terminal').count()).toBe(0);
  });
});

it('all of the desktop is reached by the keyboard alone', async () => {
  await open();
  const isAt = (): Promise<string> =>
    at.page.evaluate(
      () => document.activeElement?.getAttribute('data-testid') ?? document.activeElement?.textContent ?? '',
    );
  await at.page.keyboard.press('Shift+F6');
  const reached = [await isAt()];
  for (let steps = 0; steps < 3; steps += 1) {
    await at.page.keyboard.press('Tab');
    reached.push(await isAt());
  }
  expect(reached).toEqual(['type-this', 'copy-out', 'show-terminal', 'desktop-size']);
  await at.page.keyboard.press('Shift+Tab');
  await at.page.keyboard.press('Enter');
  await at.page.getByTestId('login-terminal').waitFor();
  expect(await isAt()).toBe('Close');
  await at.page.keyboard.press('Tab');
  expect(await isAt()).toBe('');
  await at.page.keyboard.press('Escape');
  expect(await at.page.evaluate(() => document.activeElement?.tagName)).toBe('CANVAS');
  expect(await at.page.getByTestId('login-terminal').count()).toBe(0);
});

describe('a connection that is lost', () => {
  it('is said within two seconds, also when the network only falls silent', async () => {
    await open();
    at.desktop.isThere = false;
    const start = Date.now();
    await at.page.getByText('Airlock does not answer.').waitFor();
    expect(Date.now() - start).toBeLessThan(2300);
    at.desktop.isThere = true;
    await at.connected();
    await at.desktop.drop();
    await at.page.getByText('The connection to the desktop dropped.').waitFor({ timeout: 2000 });
    await at.connected();
  });
});
