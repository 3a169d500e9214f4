/** The page of a sign-in with a desktop that a test plays, as a person has it before them. */
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { openDashboard } from './built-dashboard.js';
import { sampleSession, sessionId as id } from './sample-session.js';
import { playDesktop, type StandInDesktop } from './stand-in-desktop.js';

/** An address that browsers do not trust with a clipboard: http://, and not loopback. */
export const plainOrigin = 'http://airlock.example';
const terminal = { columns: 80, lines: ['$ codex login', 'Starting local login server on http://localhost:1455.', ''] };

export interface DesktopPage {
  page: Page;
  desktop: StandInDesktop;
  canvas: Locator;
  notice: Locator;
  connected(): Promise<void>;
  /** What the desktop has got that was pasted. */
  pasted(): string[];
  /** A key as a browser tells it, to the canvas. */
  tell(init: KeyboardEventInit, types?: readonly string[]): Promise<void>;
  /** Onto the one clipboard of this browser, as another program of the person would. */
  putOnClipboard(text: string): Promise<void>;
  /** What is on that clipboard. */
  clipboard(): Promise<string>;
}

export interface DesktopPageOptions extends BrowserContextOptions {
  /** `plainOrigin` by default. */
  origin?: string;
  /** `navigator.platform`, such as `MacIntel`. */
  platform?: string;
}

const soon = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

/** With the keyboard on the desktop. `page.context().close()` ends it. */
export async function openDesktopPage(browser: Browser, options: DesktopPageOptions = {}): Promise<DesktopPage> {
  const { origin = plainOrigin, platform, ...context } = options;
  const page = await openDashboard(
    browser,
    ({ call }) => {
      if (call === `GET /api/vm/auth/${id}/terminal`) return terminal;
      if (call !== 'GET /api/me') return sampleSession();
      return { user: { id: 'usr_0123456789abcdef', name: 'ada', role: 'user', proxyPort: 10001, createdAt: soon(0) } };
    },
    context,
  );
  const desktop = await playDesktop(page);
  await page.addInitScript((name) => {
    if (name !== undefined) Object.defineProperty(Navigator.prototype, 'platform', { get: () => name });
  }, platform);
  await page.goto(`${origin}/dashboard/remote-cli/auth?session=${id}`);
  const canvas = page.getByTestId('desktop').locator('canvas');
  const connected = (): Promise<void> => page.locator('[data-testid=desktop][data-state=connected]').waitFor();
  await connected();
  await canvas.focus();
  return {
    ...{ page, desktop, canvas, connected, notice: page.getByTestId('desktop-notice') },
    pasted: () => desktop.got.filter((one) => one.includes('<')),
    tell: async (init, types = ['keydown', 'keyup']) => tell(canvas, init, types),
    ...clipboardOf(browser, page),
  };
}

const tell = (canvas: Locator, init: KeyboardEventInit, types: readonly string[]): Promise<void> =>
  canvas.evaluate(
    (element, [event, all]) => {
      for (const type of all) {
        element.dispatchEvent(
          new KeyboardEvent(type, { ...event, bubbles: true, cancelable: true } as KeyboardEventInit),
        );
      }
    },
    [init as Record<string, string | number | boolean>, types] as const,
  );

/** By a page of the same browser, and without leave. */
function clipboardOf(browser: Browser, page: Page): Pick<DesktopPage, 'putOnClipboard' | 'clipboard'> {
  async function elsewhere<T>(act: (field: Locator) => Promise<T>): Promise<T> {
    const other = await browser.newPage();
    await other.setContent('<textarea></textarea>');
    const result = await act(other.locator('textarea'));
    await other.close();
    await page.bringToFront();
    return result;
  }
  return {
    putOnClipboard: async (text) =>
      elsewhere(async (field) => {
        await field.fill(text);
        await field.press('Control+a');
        await field.press('Control+c');
      }),
    clipboard: async () =>
      elsewhere(async (field) => {
        await field.press('Control+v');
        return field.inputValue();
      }),
  };
}
