import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { desktopSizes, layoutOf } from '@airlock/contract/desktop';
import { changesIn, colours, missingOn, terminalText, wrongSize } from './judge.js';
import type { Box, Picture } from './screen.js';

type Rgb = readonly [number, number, number];
function fill({ width, data }: Picture, box: Box, colour: Rgb): void {
  for (let y = box.y; y < box.y + box.height; y += 1) {
    for (let x = box.x; x < box.x + box.width; x += 1) data.set(colour, (y * width + x) * 4);
  }
}

const { usual } = desktopSizes;
const { browser, terminal } = layoutOf(usual);
const letters = (x: number, y: number): Box => ({ x, y, width: 60, height: 10 });

/** A desktop on which all is there, but for what `except` leaves out. */
function desktop(except?: 'page' | 'letters' | 'terminal' | 'prompt' | 'title'): Picture {
  const picture = { ...usual, data: Buffer.alloc(usual.width * usual.height * 4) };
  fill(picture, { x: 0, y: 0, ...usual }, colours.desktop);
  fill(picture, browser, except === 'page' ? [255, 255, 255] : colours.startPage);
  if (except !== 'letters') fill(picture, letters(300, 400), [36, 48, 60]);
  if (except !== 'terminal') fill(picture, terminal, colours.terminal);
  if (except !== 'prompt') fill(picture, letters(terminal.x + 12, 40), [223, 230, 238]);
  if (except !== 'title') fill(picture, { ...terminal, height: 20 }, [72, 116, 172]);
  return picture;
}

describe('a picture of the desktop', () => {
  it('lacks nothing when both windows are drawn', () => {
    expect(missingOn(desktop())).toEqual([]);
  });

  it.each([
    ['page', 'the start page in the browser'],
    ['letters', 'letters on the start page'],
    ['terminal', 'the terminal'],
    ['prompt', 'a prompt in the terminal'],
    ['title', 'a title bar on the terminal'],
  ] as const)('without %s lacks %s', (part, what) => {
    expect(missingOn(desktop(part))).toContain(what);
  });

  it('of another size is refused', () => {
    expect(wrongSize({ width: 300, height: 300 })).toEqual([expect.stringContaining('it has 300x300')]);
    expect(wrongSize(desktop())).toEqual([]);
  });

  it('differs where a letter was typed, and nowhere else', () => {
    const [before, after] = [desktop(), desktop()];
    fill(after, { x: terminalText.x + 90, y: terminalText.y + 12, width: 3, height: 4 }, [223, 230, 238]);
    fill(after, letters(10, 10), [0, 0, 0]);
    expect(changesIn(before, after, terminalText)).toBe(12);
  });
});

describe('the colours', () => {
  const hex = (colour: Rgb): string => `#${Buffer.from(colour).toString('hex')}`;
  it.each([
    ['usr/share/airlock/start.html', `background: ${hex(colours.startPage)};`],
    ['usr/share/airlock/Xresources', `XTerm*background: ${hex(colours.terminal)}\n`],
    ['usr/lib/systemd/system/airlock-openbox.service', `xsetroot -solid ${hex(colours.desktop)} `],
  ])('are those of %s', async (path, text) => {
    expect(await readFile(new URL(`../../guest/${path}`, import.meta.url), 'utf8')).toContain(text);
  });
});

it('the window manager puts both windows where a desktop of the usual size has them, until the agent does', async () => {
  const text = await readFile(new URL('../../guest/usr/share/airlock/openbox.xml', import.meta.url), 'utf8');
  const place = ({ x, y }: { x: number; y: number }): string =>
    `<position force="yes"><x>${x}</x><y>${y}</y></position>`;
  expect(text).toMatch(
    new RegExp(
      `role="browser"[^]*${place(browser)}[^]*<size><width>${browser.width}</width><height>${browser.height}</height>`,
    ),
  );
  expect(text).toMatch(new RegExp(`class="XTerm"[^]*${place(terminal)}`));
  const boot = await readFile(new URL('../../guest/usr/lib/airlock/usual-size', import.meta.url), 'utf8');
  expect(boot.match(/usual-\d+x\d+/g)).toEqual(Array.from({ length: 3 }, () => `usual-${usual.width}x${usual.height}`));
});
