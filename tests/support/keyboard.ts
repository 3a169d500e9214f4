/**
 * One browser VM for what hands do in the desktop: a page of a simulated host with fields, which tells of every change, and a terminal
 * that tells what is in a file. Everything else is as a person has it: keys and pointer by VNC, the rest by the API.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createWebSocketStream, WebSocket } from 'ws';
import { DesktopTicket, Vm } from '@airlock/contract/api';
import { DesktopCopied, DesktopPasted, type DesktopSize } from '@airlock/contract/desktop';
import type { JsonClient } from '@airlock/contract/http-client';
import { apiClient, endController, untilVm } from './api.js';
import { startController, type RunningController } from './controller.js';
import { createFakeInternet } from './fake-internet.js';
import { html, text, type WebRequest } from './fake-internet/web.js';
import type { TestHome } from './home.js';
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
const pageTop = 88;

/** What the page said last: the content of each field, and which one has the keyboard. */
export interface Told extends Record<Field, string> {
  focus: string;
  /** Of the browser's window. */
  width: number;
  height: number;
  popup: { x: number; y: number; width: number } | null;
  /** Scripts of which two letters look alike, or one has no ink. */
  unreadable: string[];
}

export interface KeyboardDesk {
  controller: RunningController;
  api: JsonClient;
  vm: Vm;
  rfb(): Rfb;
  /** Connects anew: the picture has another size. */
  reconnect(): Promise<Rfb>;
  told(): Told;
  /** Waits until what the page tells is as wanted. */
  untilTold(what: string, check: (told: Told) => boolean): Promise<Told>;
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
  const heard: { told: Told | null; file: string | null } = { told: null, file: null };
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
    const made = await api.call('POST', '/api/vm', Vm, { body: { kind: 'browser', leaseMinutes: 60 } });
    const vm = await untilVm(api, made.id, ['running'], 240_000);
    const hands = await connect({ controller, api, vm, heard });
    endings.push(async () => hands.rfb().close());
    await openPage(hands);
    return { ...hands, controller, api, vm, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Heard {
  told: Told | null;
  file: string | null;
}

function answer({ method, path, body }: WebRequest, heard: Heard) {
  if (method === 'POST' && path === '/told') heard.told = JSON.parse(body) as Told;
  else if (method === 'POST') heard.file = body;
  else return html(200, fieldsPage);
  return text(200, 'thanks');
}

type Hands = Omit<KeyboardDesk, 'controller' | 'api' | 'vm' | 'close'>;
type Connected = Pick<KeyboardDesk, 'controller' | 'api' | 'vm'> & { heard: Heard };

async function openTunnel({ controller, api, vm }: Connected): Promise<Rfb> {
  const { path } = await api.call('POST', `/api/vm/${vm.id}/desktop-ticket`, DesktopTicket);
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
  const { api, vm, heard } = connected;
  let rfb = await openTunnel(connected);
  const told = (): Told => {
    if (heard.told === null) throw new Error('The page has not said anything yet.');
    return heard.told;
  };
  const untilTold: Hands['untilTold'] = async (what, check) =>
    until(what, () => heard.told !== null && check(heard.told) && heard.told, {
      timeoutMs: waitMs,
      explain: () => JSON.stringify(heard.told).slice(0, 2000),
    });
  const click = (place: keyof typeof fieldAt): void => rfb.click(fieldAt[place].x, fieldAt[place].y + pageTop);
  const base = `/api/vm/${vm.id}/desktop`;
  return {
    rfb: () => rfb,
    reconnect: async () => {
      rfb.close();
      return (rfb = await openTunnel(connected));
    },
    told,
    untilTold,
    click,
    async focus(field) {
      click(field);
      await untilTold(`${field} to have the keyboard`, ({ focus }) => focus === field);
      rfb.press('Control', 'a');
      rfb.press('Delete');
      await untilTold(`${field} to be empty`, (now) => now[field].trim() === '');
    },
    async focusTerminal() {
      rfb.click(rfb.width - 100, rfb.height - 100);
      await untilTold('the browser to have the keyboard no more', ({ focus }) => focus === '');
    },
    async terminalFile(type) {
      heard.file = null;
      rfb.type('cat >$F\n');
      await type();
      rfb.press('Enter');
      rfb.press('Control', 'd');
      rfb.type(`curl -s --data-binary @$F https://${host}/file\n`);
      return until('the terminal to tell what it has got', () => heard.file, { timeoutMs: waitMs });
    },
    paste: async (pasted, masked = false) =>
      (await api.call('POST', `${base}/paste`, DesktopPasted, { body: { text: pasted, masked }, timeoutMs: waitMs }))
        .fetched,
    copied: async () => (await api.call('GET', `${base}/copied`, DesktopCopied, { timeoutMs: waitMs })).text,
    resize: async (body) => api.call('POST', `${base}/size`, null, { body, timeoutMs: waitMs }),
  };
}

/** Opens the page, and names the file of the terminal. */
async function openPage(hands: Hands): Promise<void> {
  const rfb = hands.rfb();
  const idle = await rfb.capture();
  rfb.click(rfb.width - 100, rfb.height - 100);
  // The title bar of the window that gets the keyboard changes.
  await rfb.waitForChange(idle, { x: rfb.width - 440, y: 4, width: 420, height: 14 }, waitMs);
  rfb.type(`F=/tmp/typed; airlock-open-url https://${host}/fields\n`);
  await hands.untilTold('the page with the fields to be there', () => true);
}
