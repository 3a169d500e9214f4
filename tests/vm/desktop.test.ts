/** A browser VM made for nobody in particular: what a person would see, do, and not be able to do in it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { createWebSocketStream, WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CreateUserResponse, DesktopTicket, Vm } from '@airlock/contract/api';
import { desktopSizes } from '@airlock/contract/desktop';
import { CheckResult, GuestClock, GuestHealth, versionName } from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { apiClient, endController, refusal, untilVm } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { countChanges, encodePng, type Box, type RgbaImage } from '../support/image.js';
import { until } from '../support/poll.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { openRfb, type Rfb } from '../support/rfb.js';

const bootMs = 240_000;
/** Where the image puts the two windows; inside their frames. */
const browserArea: Box = { x: 20, y: 120, width: 780, height: 640 };
/** Its empty part; its colour tells whether the browser has the focus. */
const tabStrip: Box = { x: 340, y: 4, width: 380, height: 32 };
const addressBar: Box = { x: 130, y: 50, width: 600, height: 28 };
const terminalArea: Box = { x: 850, y: 40, width: 410, height: 720 };

const qemuProgram = 'qemu-system-x86_64';
/** QEMU with one more monitor, for the test: that of the runner has no path. */
const withMonitor = (socket: string): string => `#!/bin/sh
case "$*" in *airlock-config*) set -- "$@" -qmp unix:${socket},server=on,wait=off ;; esac
exec "$(PATH="\${PATH#*:}" command -v ${qemuProgram})" "$@"
`;

const endings: (() => Promise<unknown>)[] = [];

let before: Snapshot;
let home: TestHome;
let internet: FakeInternet;
let controller: RunningController;
let api: JsonClient;
let vm: Vm;
let desktop: Rfb;

async function openTunnel(ticketPath: string): Promise<Rfb> {
  const url = new URL(ticketPath, controller.url.replace('http', 'ws'));
  const socket = new WebSocket(url, 'binary', { headers: { authorization: `Bearer ${controller.token}` } });
  const stream = createWebSocketStream(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    stream.once('error', reject);
  });
  return openRfb(stream, { timeoutMs: 60_000 });
}

const newTicket = async (): Promise<string> =>
  (await api.call('POST', `/api/vm/${vm.id}/desktop-ticket`, DesktopTicket)).path;

async function keepPicture(name: string, image: RgbaImage): Promise<void> {
  const folder = process.env['TEST_SCREENSHOTS'];
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.png`), encodePng(image));
}

/** Share of the most frequent colour inside `box`, and how many colours there are. */
function colours(image: RgbaImage, box: Box): { count: number; dominant: string; share: number } {
  const seen = new Map<string, number>();
  for (let y = box.y; y < box.y + box.height; y += 1) {
    for (let x = box.x; x < box.x + box.width; x += 1) {
      const at = (y * image.width + x) * 4;
      const colour = `${image.data[at]},${image.data[at + 1]},${image.data[at + 2]}`;
      seen.set(colour, (seen.get(colour) ?? 0) + 1);
    }
  }
  const [dominant = '', pixels = 0] = [...seen].sort((a, b) => b[1] - a[1])[0] ?? [];
  return { count: seen.size, dominant, share: pixels / (box.width * box.height) };
}

/** Waits until what is written in a box has not changed for a second, but for a blinking caret. */
async function untilWritten(box: Box): Promise<void> {
  let last = await desktop.capture();
  const still = async (): Promise<boolean> => {
    const now = await desktop.capture();
    const same = countChanges(last, now, box) < 60;
    last = now;
    return same;
  };
  await until('the letters to be drawn', still, { timeoutMs: 60_000, intervalMs: 1000 });
}

beforeAll(async () => {
  home = await createTestHome();
  endings.push(home.remove);
  before = await takeSnapshot({ home: home.path });
  internet = await createFakeInternet();
  endings.push(internet.close);
  await writeFile(join(home.path, 'ca.pem'), internet.caPem);
  await writeFile(join(home.path, qemuProgram), withMonitor(join(home.path, 'qmp')), { mode: 0o755 });
  controller = await startController({
    home: home.path,
    env: {
      PATH: `${home.path}:${process.env['PATH'] ?? ''}`,
      AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
      AIRLOCK_PROXY_PORT_BASE: String(internet.port),
      AIRLOCK_EXTRA_CA: join(home.path, 'ca.pem'),
    },
  });
  endings.push(async () => endController(controller));
  api = apiClient(controller.url, controller.token);
  endings.push(api.close);
  vm = await api.call('POST', '/api/vm', Vm, { body: { kind: 'browser', leaseMinutes: 30 } });
  vm = await untilVm(api, vm.id, ['running'], bootMs);
  desktop = await openTunnel(await newTicket());
}, 480_000);

afterAll(async () => {
  await close();
});

/** Ends everything this file started; nothing the second time. */
async function close(): Promise<void> {
  for (const end of endings.splice(0).toReversed()) await end();
}

describe('the desktop of a browser VM', () => {
  it('is 1280x800 and shows a browser and a terminal side by side, by itself', async () => {
    expect({ width: desktop.width, height: desktop.height }).toEqual(desktopSizes.usual);
    const health = await api.call('GET', `/api/vm/${vm.id}/health`, GuestHealth);
    expect(health.desktop).toEqual({ display: true, vnc: true, windowManager: true, terminal: true, browser: true });
    const image = await desktop.waitFor(
      'both windows to be drawn',
      (picture) => colours(picture, browserArea).share > 0.3 && colours(picture, terminalArea).count > 2,
      60_000,
    );
    await keepPicture('vm-desktop', image);
    const [browser, terminal] = [colours(image, browserArea), colours(image, terminalArea)];
    expect(browser.dominant).not.toBe(terminal.dominant);
    expect(terminal.share).toBeGreaterThan(0.8);
  }, 120_000);

  it('lets a person type in the terminal', async () => {
    desktop.click(terminalArea.x + 200, terminalArea.y + 400);
    const quiet = await desktop.capture();
    desktop.type('echo airlock-$((6*7))\n');
    const typed = await desktop.waitForChange(quiet, { ...terminalArea, height: 120 }, 60_000, 300);
    await keepPicture('vm-typed', typed);
    expect(colours(typed, terminalArea).count).toBeGreaterThan(2);
  }, 120_000);

  it('lets a person navigate in the browser, through the upstream proxy', async () => {
    const quiet = await desktop.capture();
    desktop.click(browserArea.x + 300, browserArea.y + 500);
    const active = await desktop.waitForChange(quiet, tabStrip, 30_000, 1000);
    desktop.press('Control', 'l');
    const focused = await desktop.waitForChange(active, addressBar, 60_000, 100);
    desktop.type('https://claude.ai/');
    await desktop.waitForChange(focused, addressBar, 60_000, 100);
    await untilWritten(addressBar);
    desktop.press('Enter');
    await desktop.waitForChange(quiet, browserArea, 120_000, 20_000);
    await expect
      .poll(() => internet.requests.some((request) => request.host === 'claude.ai' && request.path === '/'), {
        timeout: 60_000,
      })
      .toBe(true);
    await keepPicture('vm-navigated', await desktop.capture());
  }, 240_000);

  // One CLI's version: the sign-ins show that each runs in such a VM.
  it.each(['node', versionName('codex'), 'fetch'] as const)(
    'passes the check %s',
    async (name) => {
      const result = await api.call('POST', `/api/vm/${vm.id}/check`, CheckResult, {
        body: { name },
        timeoutMs: 300_000,
      });
      expect(result, result.output).toMatchObject({ ok: true });
      if (name === 'node') expect(result.output).toMatch(/^v20\./);
    },
    320_000,
  );

  it('reaches nothing but its egress gateway', async () => {
    const result = await api.call('POST', `/api/vm/${vm.id}/check`, CheckResult, {
      body: { name: 'isolation' },
      timeoutMs: 300_000,
    });
    expect(result, result.output).toMatchObject({ ok: true });
  }, 320_000);
});

describe('the clock of a VM', () => {
  let runner: JsonClient;
  let qemu: Socket;
  beforeAll(async () => {
    const socketPath = homePaths(home.path).vmFile(vm.id, 'socket');
    const [baseUrl, unreachable, name] = ['http://runner', 'runner_failed', 'the runner'] as const;
    runner = createJsonClient({ baseUrl, socketPath, unreachable, name });
    qemu = connect(join(home.path, 'qmp'));
    await once(qemu, 'data');
    await tellQemu('qmp_capabilities');
  });
  afterAll(async () => {
    qemu.destroy();
    await runner.close();
  });
  async function tellQemu(execute: string): Promise<void> {
    const answer = once(qemu, 'data') as Promise<[Buffer]>;
    qemu.write(JSON.stringify({ execute }));
    expect((await answer).toString()).toMatch(/"return"|"event"/);
  }
  /** Milliseconds; exact to half of what the answer took. */
  async function behindMs(): Promise<number> {
    const askedAt = Date.now();
    const { epochMs } = await runner.call('GET', '/guest/clock', GuestClock);
    return (askedAt + Date.now()) / 2 - epochMs;
  }
  async function untilRight(): Promise<void> {
    await expect.poll(async () => Math.abs(await behindMs()), { timeout: 5000, interval: 100 }).toBeLessThan(1000);
  }

  it.each([
    ['ahead', 3_600_000],
    ['behind', -172_800_000],
  ])(
    'that was set %s is right again within 5 s',
    async (_where, byMs) => {
      await untilRight();
      await runner.call('POST', '/guest/clock', null, { body: { byMs } });
      await untilRight();
    },
    60_000,
  );

  it('is right within 5 s after the VM, which was stopped, runs on', async () => {
    await untilRight();
    await tellQemu('stop');
    await delay(8000);
    await tellQemu('cont');
    await untilRight();
  }, 60_000);
});

describe('the way to a desktop', () => {
  it('opens once for a ticket', async () => {
    const path = await newTicket();
    (await openTunnel(path)).close();
    await expect(openTunnel(path)).rejects.toThrow(/401/);
    await expect(openTunnel(`/api/vm/${vm.id}/desktop?ticket=${'x'.repeat(43)}`)).rejects.toThrow(/401/);
  }, 60_000);

  it('is closed to other users, who do not even learn that the VM exists', async () => {
    const { token } = await api.call('POST', '/api/users', CreateUserResponse, { body: { name: 'bob' } });
    const bob = apiClient(controller.url, token);
    expect(await refusal(bob.call('GET', `/api/vm/${vm.id}`, Vm))).toMatchObject({ code: 'not_found' });
    expect(await refusal(bob.call('POST', `/api/vm/${vm.id}/desktop-ticket`, DesktopTicket))).toMatchObject({
      code: 'not_found',
    });
    await bob.close();
  }, 30_000);

  it('cannot be taken through the loopback ports of QEMU without the secrets of this VM', async () => {
    const ports = await listeningPortsOf(vm.id);
    expect(ports).toHaveLength(2);
    const greetings = await Promise.all(ports.map(greet));
    const vnc = ports[greetings.findIndex((text) => text.startsWith('RFB 003.008'))];
    const agent = ports.find((port) => port !== vnc);
    await expect(openRfb(connect({ host: '127.0.0.1', port: vnc ?? 0 }), { password: 'guessing' })).rejects.toThrow(
      /./,
    );
    const answer = await fetch(`http://127.0.0.1:${agent}/health`);
    expect(answer.status).toBe(401);
  }, 60_000);
});

describe('the end of a browser VM', () => {
  it('leaves nothing behind', async () => {
    desktop.close();
    await api.call('DELETE', `/api/vm/${vm.id}`, null, { timeoutMs: 60_000 });
    expect((await api.call('GET', `/api/vm/${vm.id}`, Vm)).state).toBe('destroyed');
    await close();
    await untilNoLeaks(before, 20_000);
  }, 90_000);
});

/** The loopback ports that the QEMU process of this VM listens on. */
async function listeningPortsOf(vmId: string): Promise<number[]> {
  const { listeningPorts } = await takeSnapshot({ home: home.path });
  return listeningPorts.filter((line) => line.includes(vmId)).map((line) => Number(/^port (\d+)/.exec(line)?.[1]));
}

/** What a server says by itself within two seconds of a connection; empty for one that waits to be asked. */
async function greet(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 2000 });
    const finish = (text: string): void => {
      socket.destroy();
      resolve(text);
    };
    socket.once('data', (chunk: Buffer) => finish(chunk.toString('latin1')));
    socket.once('timeout', () => finish(''));
    socket.once('error', reject);
  });
}
