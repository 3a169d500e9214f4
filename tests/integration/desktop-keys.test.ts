/** The keyboard at a desktop in a real browser: letters of other scripts, input methods, phones, Macs, and the way out. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../support/browser.js';
import { openDesktopPage, type DesktopPage, type DesktopPageOptions } from '../support/desktop-page.js';

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

describe('keys of the person', () => {
  it('of 27 letters of another script all arrive, each once and in order', async () => {
    await open();
    const letters = 'абвгдежзийклмнопрстуфхцчшщъ';
    for (const key of letters) await at.tell({ key, code: 'KeyA' });
    await expect
      .poll(() =>
        at
          .pasted()
          .join('')
          .replaceAll(/masked |[<>]/g, ''),
      )
      .toBe(letters);
    expect(at.desktop.got.filter((one) => !one.includes('<'))).toEqual([]);
  });

  it('of all of ASCII, of Latin letters and with AltGr stay keys', async () => {
    await open();
    const ascii = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
    for (const key of `${ascii}éß`) await at.tell({ key, code: 'KeyA' });
    await at.tell({ key: 'Dead', code: 'Quote' });
    await at.tell({ key: 'á', code: 'KeyA' });
    await at.tell({ key: '@', code: 'KeyQ', modifierAltGraph: true, ctrlKey: true, altKey: true });
    const keys = Array.from(`${ascii}éßá@`).flatMap((key) => [`${key}↓`, `${key}↑`]);
    await expect.poll(() => at.desktop.got).toEqual(keys);
  });

  it('that an input method takes are letters of their code, and the page says so', async () => {
    await open();
    await at.tell({ key: 'Process', code: 'KeyH', keyCode: 229 } as KeyboardEventInit);
    await at.tell({ key: 'Process', code: 'KeyI', keyCode: 229, shiftKey: true } as KeyboardEventInit);
    await expect.poll(() => at.desktop.got).toEqual(['h↓', 'h↑', 'I↓', 'I↑']);
    await at.notice.getByText('input method is on').waitFor();
  });

  it('with Ctrl mean the key, whatever script is on it', async () => {
    await open();
    await at.tell({ key: 'ф', code: 'KeyA', ctrlKey: true });
    await expect.poll(() => at.desktop.got).toEqual(['a↓', 'a↑']);
  });

  it('of a phone are typed, with smart punctuation plain again', async () => {
    await open({ viewport: { width: 390, height: 844 }, hasTouch: true });
    await at.page.getByTestId('keyboard').tap();
    const field = at.page.getByLabel('Type here to type on the desktop');
    const before = await field.inputValue();
    at.desktop.got.length = 0;
    for (const value of ['a', 'a“', 'a“b', 'a“b’', 'a“b’c', 'a“b’c-', 'a“b’c—', 'a“b’c—d']) {
      await field.fill(before + value);
    }
    const keys = Array.from('a"b\'c--d').flatMap((key) => [`${key}↓`, `${key}↑`]);
    await expect.poll(() => at.desktop.got).toEqual(keys);
    await field.evaluate((element) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData('text/plain', '“exact”\r\n—');
      element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    });
    await expect.poll(at.pasted).toEqual(['<“exact”\n—>']);
  });

  it('of a Mac: Cmd is Ctrl, a key whose release it does not tell is released, and Option makes characters', async () => {
    await open({ platform: 'MacIntel' });
    const keys = async (act: () => Promise<void>): Promise<string[]> => {
      at.desktop.got.length = 0;
      await act();
      await at.tell({ key: '.', code: 'Period' });
      await expect.poll(() => at.desktop.got.at(-1)).toBe('.↑');
      return at.desktop.got.slice(0, -2);
    };
    const meta = { metaKey: true };
    const hold = { key: 'Meta', code: 'MetaLeft' };
    const all = await keys(async () => {
      await at.tell({ key: 's', code: 'KeyS' }, ['keydown']);
      await at.tell({ ...hold, ...meta }, ['keydown']);
      await at.tell({ key: 'a', code: 'KeyA', ...meta }, ['keydown']);
      await at.tell({ key: 'z', code: 'KeyZ', ...meta, shiftKey: true }, ['keydown']);
      await at.tell(hold, ['keyup']);
    });
    const [control, shift] = ['0xffe3', '0xffe1'];
    expect(all).toEqual([
      ...['s↓', 's↑', `${control}↓`, 'a↓', 'a↑', `${control}↑`],
      ...[`${control}↓`, `${shift}↓`, 'Z↓', 'Z↑', `${shift}↑`, `${control}↑`],
    ]);
    const copied = await keys(async () => {
      await at.tell({ ...hold, ...meta }, ['keydown']);
      await at.tell({ key: 'c', code: 'KeyC', ...meta }, ['keydown']);
      await at.tell(hold, ['keyup']);
    });
    expect(copied).toEqual([`${control}↓`, '0xff63↓', '0xff63↑', `${control}↑`]);
    const typed = await keys(async () => {
      await at.tell({ key: 'Alt', code: 'AltLeft', altKey: true }, ['keydown']);
      await at.tell({ key: '@', code: 'KeyL', altKey: true });
      await at.tell({ key: 'Alt', code: 'AltLeft' }, ['keyup']);
      await at.tell({ key: 'S', code: 'KeyS', shiftKey: true });
    });
    expect(typed).toEqual(['@↓', '@↑', 'S↓', 'S↑']);
  });

  it('leave the desktop, with nothing held there', async () => {
    await open();
    await at.page.keyboard.press('Shift+F6');
    expect(await at.page.evaluate(() => document.activeElement?.closest('nav')?.ariaLabel)).toBe(
      'Tools of the desktop',
    );
    await expect.poll(() => at.desktop.got).toEqual(['0xffe1↓', '0xffe1↑']);
    const name = await at.canvas.getAttribute('aria-label');
    expect(name).toContain('Shift+F6 takes the keyboard out of it');
  });
});
