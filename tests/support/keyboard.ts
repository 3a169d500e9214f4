/**
 * One sign-in, of whose browser VM the desktop is used by hands: a page of a simulated host with fields, which tells of every change,
 * and a terminal that tells what is in a file. Everything else is as a person has it: keys and pointer by VNC, the rest by the API, or
 * all of it by the dashboard's page in a browser.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { DesktopTicket, StartSessionResponse } from '@airlock/contract/api';
import { CreateLoginTokenResponse } from '@airlock/contract/login';
import { DesktopCopied, DesktopPasted, type DesktopSize } from '@airlock/contract/desktop';
import type { JsonClient } from '@airlock/contract/http-client';
import { Session } from '@airlock/contract/session';
import { apiClient, endController, untilSession } from './api.js';
import { launchBrowser } from './browser.js';
import { startController, type RunningController } from './controller.js';
import { createFakeInternet, pageColours } from './fake-internet.js';
import { html, text, type WebRequest } from './fake-internet/web.js';
import type { TestHome } from './home.js';
import { findColour, type RgbaImage } from './image.js';
import { fieldsPage } from './keyboard-page.js';
import { until } from './poll.js';
import { openRfb, type Rfb } from './rfb.js';

/** Where the fields are on the page, and the page on the screen, in pixels. */
export const fieldAt = {
  input: { x: 60, y: 25 },
  password: { x: 60, y: 75 },
  textarea: { x: 60, y: 150 },
  editable: { x: 60, y: 300 },
  popup: { x: 500, y: 50 },
} as const;
export type Field = Exclude<keyof typeof fieldAt, 'popup'>;
/** Pixels of tabs and address bar. */
export const pageTop = 88;

/** What the page said last: the content of each field, and which one has the keyboard. */
export interface Told extends Record<Field, string> {
  focus: string;
  /** Of the browser's window. */
  width: number;
  height: number;
  popup: { x: number; y: number; width: number } | null;
  /** How often the page was hidden, as it is when its window becomes an icon. */
  hidden: number;
  /** Scripts of which two letters look alike, or one has no ink. */
  unreadable: string[];
  /** What draws WebGL, by its own name; null when nothing does. */
  webgl: string | null;
}

export interface KeyboardDesk {
  controller: RunningController;
  api: JsonClient;
  session: Session;
  /** The page of the sign-in, with its desktop connected; its user is logged in. Ends with the desk. */
  page(options: BrowserContextOptions): Promise<Page>;
  rfb(): Rfb;
  /** Connects anew: the picture has another size. */
  reconnect(): Promise<Rfb>;
  told(): Told;
  /** Waits until what the page tells is as wanted. */
  untilTold(what: string, check: (told: Told) => boolean | Promise<boolean>, timeoutMs?: number): Promise<Told>;
  /** Empties the fields and puts the keyboard there. */
  focus(field: Field): Promise<void>;
  click(place: keyof typeof fieldAt): void;
  focusTerminal(): Promise<void>;
  /** Runs `command` in the terminal, which has the keyboard, and answers what it has written into the file `$F`. */
  terminalFile(type: () => Promise<unknown>): Promise<string>;
  paste(text: string, masked?: boolean): Promise<boolean>;
  copied(): Promise<string | null>;
  resize(size: DesktopSize): Promise<void>;
  close(): Promise<void>;
}

const host = 'claude.ai';
const waitMs = 60_000;

/** In a home of the caller's, who removes it. */
export async function openKeyboardDesk(home: TestHome): Promise<KeyboardDesk> {
  const endings: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of endings.splice(0).toReversed()) await end();
  };
  const heard: Heard = { told: null, isReading: false, file: null };
  try {
    const internet = await createFakeInternet({ hosts: { [host]: (request) => answer(request, heard) } });
    endings.push(internet.close);
    await writeFile(join(home.path, 'ca.pem'), internet.caPem);
    const controller = await startController({
      home: home.path,
      env: {
        AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
        AIRLOCK_PROXY_PORT_BASE: String(internet.port),
        AIRLOCK_EXTRA_CA: join(home.path, 'ca.pem'),
      },
    });
    endings.push(async () => endController(controller));
    const api = apiClient(controller.url, controller.token);
    endings.push(api.close);
    const body = { provider: 'codex' };
    const { sessionId } = await api.call('POST', '/api/vm/auth', StartSessionResponse, { body });
    // The provider's page is open in the browser then, and nothing more opens by itself.
    await untilSession(api, sessionId, ['awaiting_user_auth'], 240_000);
    const session = await api.call('POST', `/api/vm/auth/${sessionId}/extend`, Session);
    const connected = { controller, api, session, heard };
    const hands = await connect(connected);
    endings.push(async () => hands.rfb().close());
    await openFields(hands);
    const browser = await launchBrowser();
    endings.push(async () => browser.close());
    return {
      ...hands,
      controller,
      api,
      session,
      page: async (options) => openDesktop(connected, browser, options),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Heard {
  told: Told | null;
  /** The shell of the terminal runs the command that fills the file. */
  isReading: boolean;
  file: string | null;
}

function answer({ method, path, body }: WebRequest, heard: Heard) {
  if (method === 'POST' && path === '/told') heard.told = JSON.parse(body) as Told;
  else if (method === 'POST') heard.file = body;
  else if (path === '/reading') heard.isReading = true;
  else return html(200, fieldsPage);
  return text(200, 'thanks');
}

type Hands = Omit<KeyboardDesk, 'controller' | 'api' | 'session' | 'page' | 'close'>;
type Connected = Pick<KeyboardDesk, 'controller' | 'api' | 'session'> & { heard: Heard };

async function openTunnel({ controller, api, session }: Connected): Promise<Rfb> {
  const { path } = await api.call('POST', `/api/vm/${session.browserVmId}/desktop-ticket`, DesktopTicket);
  const url = new URL(path, controller.url.replace('http', 'ws'));
  const socket = new WebSocket(url, 'binary', { headers: { authorization: `Bearer ${controller.token}` } });
  const stream = createWebSocketStream(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    stream.once('error', reject);
  });
  return openRfb(stream, { timeoutMs: waitMs });
}

async function connect(connected: Connected): Promise<Hands> {
  const { api, session, heard } = connected;
  let rfb = await openTunnel(connected);
  const told = (): Told => {
    if (heard.told === null) throw new Error('The page has not said anything yet.');
    return heard.told;
  };
  const untilTold: Hands['untilTold'] = async (what, check, timeoutMs = waitMs) =>
    until(what, async () => heard.told !== null && (await check(heard.told)) && heard.told, {
      timeoutMs,
      explain: () => JSON.stringify(heard.told).slice(0, 2000),
    });
  const click = (place: keyof typeof fieldAt): void => rfb.click(fieldAt[place].x, fieldAt[place].y + pageTop);
  const base = `/api/vm/${session.browserVmId}/desktop`;
  const focus = async (field: Field): Promise<void> => {
    // A click takes a way of its own through Chromium: keys that come right after it may be there first.
    if (heard.told?.focus !== field) click(field);
    await untilTold(`${field} to have the keyboard`, (now) => now.focus === field);
    rfb.press('Control', 'a');
    rfb.press('Delete');
    await untilTold(`${field} to be empty`, (now) => now[field].trim() === '');
  };
  return {
    rfb: () => rfb,
    reconnect: async () => {
      rfb.close();
      return (rfb = await openTunnel(connected));
    },
    told,
    untilTold,
    click,
    focus,
    async focusTerminal() {
      // Without a field of its own that has the keyboard the page does not know when it has lost it.
      if (heard.told?.focus === '') await focus('input');
      // It may have been an icon just now: a click beside it goes nowhere.
      const isThere = async (): Promise<boolean> => {
        rfb.click(rfb.width - 100, rfb.height - 100);
        return untilTold('the browser to have the keyboard no more', ({ focus }) => focus === '', 2000).then(
          () => true,
          () => false,
        );
      };
      await until('the terminal to have the keyboard', isThere, { timeoutMs: waitMs });
    },
    async terminalFile(type) {
      Object.assign(heard, { isReading: false, file: null });
      rfb.type(`curl -s https://${host}/reading; cat >$F; curl -s --data-binary @$F https://${host}/file\n`);
      // Until the shell has taken the line, it and not the command gets what is typed.
      await until('the terminal to read', async () => heard.isReading, { timeoutMs: waitMs });
      await type();
      rfb.press('Enter');
      rfb.press('Control', 'd');
      return until('the terminal to tell what it has got', () => heard.file, { timeoutMs: waitMs });
    },
    paste: async (pasted, masked = false) => {
      // Keys go another way: a picture that is asked for behind them comes once they are done.
      await rfb.capture();
      const body = { text: pasted, masked };
      return (await api.call('POST', `${base}/paste`, DesktopPasted, { body, timeoutMs: waitMs })).fetched;
    },
    copied: async () => (await api.call('GET', `${base}/copied`, DesktopCopied, { timeoutMs: waitMs })).text,
    resize: async (body) => api.call('POST', `${base}/size`, null, { body, timeoutMs: waitMs }),
  };
}

/** Opens the page, and names the file of the terminal. */
async function openFields(hands: Hands): Promise<void> {
  const rfb = hands.rfb();
  // The window in which it opens takes the keyboard.
  const isOpen = (image: RgbaImage): boolean => findColour(image, pageColours.primaryButton) !== null;
  const idle = await rfb.waitFor('the provider’s page in the browser', isOpen, 180_000);
  rfb.click(rfb.width - 100, rfb.height - 100);
  // The title bar of the window that gets the keyboard changes.
  await rfb.waitForChange(idle, { x: rfb.width - 440, y: 4, width: 420, height: 14 }, waitMs);
  rfb.type(`F=/tmp/typed; airlock-open-url https://${host}/fields\n`);
  await hands.untilTold('the page with the fields to be there', () => true);
}

async function openDesktop(
  { controller, api, session }: Connected,
  browser: Browser,
  options: BrowserContextOptions,
): Promise<Page> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await api.call('POST', `/api/vm/auth/${session.id}/extend`, Session);
  const { url } = await api.call('POST', '/api/login-tokens', CreateLoginTokenResponse, { body: {} });
  await page.goto(url);
  await page.getByTestId('login-agree').click();
  await page.waitForURL(/remote-cli/);
  await page.goto(`${controller.url}/dashboard/remote-cli/auth?session=${session.id}`);
  await page.locator('[data-testid=desktop][data-state=connected]').waitFor({ timeout: waitMs });
  return page;
}
