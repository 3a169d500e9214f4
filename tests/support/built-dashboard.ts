/** The built dashboard in a real browser, with every answer of the controller given by the test: no server, no connection. */
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Browser, BrowserContextOptions, Page, Route } from 'playwright-core';

export const dashboardOrigin = 'http://127.0.0.1:9';
const built = fileURLToPath(new URL('../../packages/dashboard/dist/', import.meta.url));
const desktopSize = { width: 1280, height: 800 };
const phoneSize = { width: 390, height: 844 };

export interface ApiCall {
  /** `POST /api/vm/auth` */
  call: string;
  body: Record<string, string>;
  route: Route;
}

/** Returns the answer's JSON, or has answered by `route` itself and returns undefined. */
export type Answer = (call: ApiCall) => unknown;

/**
 * A page of its own cookies and storage; `page.context().close()` ends it. It is that of `dashboardOrigin`, or any other origin that
 * the test opens.
 */
export async function openDashboard(browser: Browser, answer: Answer, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ viewport: desktopSize, ...options });
  await context.grantPermissions(['clipboard-read', 'clipboard-write', 'local-network-access'], {
    origin: dashboardOrigin,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  await page.route('**/*', (route) => handle(route, answer));
  return page;
}

async function handle(route: Route, answer: Answer): Promise<void> {
  const request = route.request();
  const { pathname } = new URL(request.url());
  if (!pathname.startsWith('/api/')) return serveFile(route, pathname);
  // `playDesktop` gives the tickets of a desktop that is there.
  if (pathname.endsWith('/events') || pathname.endsWith('/desktop-ticket')) return route.abort();
  const body = (request.postDataJSON() ?? {}) as Record<string, string>;
  const json = await answer({ call: `${request.method()} ${pathname}`, body, route });
  return json === undefined ? undefined : route.fulfill({ json });
}

async function serveFile(route: Route, pathname: string): Promise<void> {
  const isFile = pathname.startsWith('/dashboard/assets/');
  const file = isFile ? pathname.slice('/dashboard/'.length) : 'index.html';
  const contentType = file.endsWith('.js') ? 'text/javascript' : file.endsWith('.css') ? 'text/css' : 'text/html';
  return route.fulfill({ body: await readFile(join(built, file)), contentType });
}

/**
 * The page as it is: axe-core finds nothing in it that keeps somebody out, wide in light and as on a phone in dark. Below
 * $TEST_SCREENSHOTS, where that is set, its pictures are, of both in both.
 */
export async function screenshots(page: Page, name: string): Promise<void> {
  const folder = process.env['TEST_SCREENSHOTS'];
  for (const [width, viewport] of [['', desktopSize] as const, ['-phone', phoneSize] as const]) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark'] as const) {
      const isChecked = (width === '') === (colorScheme === 'light');
      if (!isChecked && folder === undefined) continue;
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      // Mantine follows by a script of its own.
      await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
      if (isChecked) await expectAccessible(page, `${name}${width}, ${colorScheme}`);
      if (folder === undefined) continue;
      await mkdir(folder, { recursive: true });
      const path = join(folder, `${name}${width}${colorScheme === 'dark' ? '-dark' : ''}.png`);
      await page.screenshot({ path, fullPage: true, animations: 'disabled' });
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(desktopSize);
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** WCAG 2.2, A and AA, and what is good besides: landmarks, headings, names. */
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** @throws Error with what axe-core finds */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  // A colour in the middle of its change is none that stays.
  await page.addStyleTag({ content: '* { transition: none !important; }' });
  await page.evaluate(await readFile(axePath, 'utf8'));
  const found = await page.evaluate(async (runOnly) => {
    const { violations } = await (window as unknown as { axe: Axe }).axe.run(document, { runOnly });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  }, rules);
  expect(found, what).toEqual([]);
}

/** The part of axe-core that is used. */
interface Axe {
  run(
    within: Document,
    options: { runOnly: string[] },
  ): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}
