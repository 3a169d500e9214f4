/** The built dashboard in a real browser, with every answer of the controller given by the test: no server, no connection. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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

/** A page of its own cookies and storage; `page.context().close()` ends it. */
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

/** Below $TEST_SCREENSHOTS, where that is set: wide, as on a phone, and both in dark. */
export async function screenshots(page: Page, name: string): Promise<void> {
  const folder = process.env['TEST_SCREENSHOTS'];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [width, viewport] of [['', desktopSize] as const, ['-phone', phoneSize] as const]) {
      await page.setViewportSize(viewport);
      const path = join(folder, `${name}${width}${colorScheme === 'dark' ? '-dark' : ''}.png`);
      await page.screenshot({ path, fullPage: true, animations: 'disabled' });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(desktopSize);
}
