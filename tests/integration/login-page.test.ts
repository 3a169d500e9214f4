/** Signing in, in a real browser with the real controller: a link of somebody else, other tabs, and what another port can steal. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { CreateUserResponse } from '@airlock/contract/api';
import { CreateLoginTokenResponse, pageHeader } from '@airlock/contract/login';
import type { StreamingClient } from '@airlock/contract/http-client';
import { apiClient } from '../support/api.js';
import { launchBrowser } from '../support/browser.js';
import { screenshots } from '../support/built-dashboard.js';
import { startController, type RunningController } from '../support/controller.js';

let home: string;
let controller: RunningController;
let api: StreamingClient;
let browser: Browser;
let context: BrowserContext;
let page: Page;

const linkFor = async (userName: string): Promise<string> =>
  (await api.call('POST', '/api/login-tokens', CreateLoginTokenResponse, { body: { userName } })).url;

async function newPage(): Promise<Page> {
  const opened = await context.newPage();
  opened.setDefaultTimeout(20_000);
  return opened;
}

/** Opens a link, which is a question, and says yes. */
async function signInAs(name: string, where = page): Promise<void> {
  await where.goto(await linkFor(name));
  await where.getByTestId('login-agree').click();
  await untilSignedInAs(name, where);
}

async function untilSignedInAs(name: string, where = page): Promise<void> {
  await where.waitForURL(`${controller.url}/dashboard/remote-cli`);
  await where.getByRole('button', { name: `Account menu of ${name}` }).waitFor();
}

const vaults = async (): Promise<string[]> => {
  await page.getByTestId('provider-codex').getByTestId('vault-owner').waitFor();
  return page.getByTestId('vault-owner').allInnerTexts();
};

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-login-'));
  controller = await startController({ home });
  api = apiClient(controller.url, controller.token);
  for (const name of ['ada', 'bob']) await api.call('POST', '/api/users', CreateUserResponse, { body: { name } });
  browser = await launchBrowser();
}, 180_000);
afterAll(async () => {
  await browser.close();
  await api.close();
  await controller.stop();
  await rm(home, { recursive: true });
}, 90_000);
beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  page = await newPage();
});
afterEach(() => context.close());

describe('a login link', () => {
  it('names the account and asks; whose vault it is stands at every CLI', async () => {
    await page.goto(await linkFor('ada'));
    await page.getByRole('heading', { name: 'Sign in as ada?' }).waitFor();
    expect(await page.evaluate(() => [location.hash, localStorage.length])).toEqual(['', 0]);
    expect(await context.cookies()).toEqual([]);
    await screenshots(page, 'login-question');
    await page.getByTestId('login-agree').click();
    await untilSignedInAs('ada');
    expect(await vaults()).toEqual(Array(3).fill('Goes to the vault of ada'));
    await screenshots(page, 'providers-owner');
  });

  it('of somebody else changes nothing until the person says so', async () => {
    await signInAs('ada');
    const link = await linkFor('bob');
    await page.goto(link);
    await page.getByRole('heading', { name: 'This link is for bob' }).waitFor();
    expect(await page.getByRole('alert').innerText()).toBe('In this browser ada is signed in.');
    await screenshots(page, 'login-other');
    await page.getByTestId('login-stay').click();
    await untilSignedInAs('ada');
    expect(new Set(await vaults())).toEqual(new Set(['Goes to the vault of ada']));
    await page.goto(link);
    await page.getByTestId('login-replace').click();
    await untilSignedInAs('bob');
    expect(new Set(await vaults())).toEqual(new Set(['Goes to the vault of bob']));
  });

  it('asks also where the page cannot know who is signed in', async () => {
    await signInAs('ada');
    await page.evaluate(() => localStorage.clear());
    await page.goto(await linkFor('bob'));
    await page.getByTestId('login-agree').click();
    await page.getByText('In this browser somebody else is signed in.').waitFor();
    await screenshots(page, 'login-unknown');
    await page.getByTestId('login-replace').click();
    await untilSignedInAs('bob');
  });

  it('that no longer works says so', async () => {
    const link = await linkFor('ada');
    await page.goto(link);
    await page.getByTestId('login-agree').click();
    await untilSignedInAs('ada');
    await page.goto(link);
    await page.getByRole('heading', { name: 'This login link no longer works' }).waitFor();
  });
});

describe('the tabs of a browser', () => {
  it('sign out together, and none goes on under the name of another', async () => {
    await signInAs('ada');
    const second = await newPage();
    await second.goto(`${controller.url}/dashboard/remote-cli`);
    await untilSignedInAs('ada', second);
    await page.goto(await linkFor('bob'));
    await page.getByTestId('login-replace').click();
    await untilSignedInAs('bob', second);
    await second.getByTestId('user-menu').click();
    await second.getByTestId('sign-out').click();
    await page.waitForURL(`${controller.url}/dashboard/login`);
    await page.getByRole('heading', { name: 'Open your login link' }).waitFor();
    expect(await page.evaluate(() => localStorage.length)).toBe(0);
  });
});

describe('a server on another port of this host', () => {
  let thief: Server;
  let url: string;
  let received: string[];

  beforeAll(async () => {
    thief = createServer((request, response) => {
      received.push(request.headers.cookie ?? '');
      response.setHeader('content-type', 'text/html').end('<title>thief</title>');
    });
    thief.listen(0, '127.0.0.1');
    await once(thief, 'listening');
    url = `http://127.0.0.1:${(thief.address() as AddressInfo).port}/`;
  });
  afterAll(() => void thief.close());
  beforeEach(() => {
    received = [];
  });

  it('receives the cookie and cannot use it', async () => {
    await signInAs('admin');
    await page.goto(url);
    const cookie = received[0] ?? '';
    expect(cookie).toMatch(/^airlock=[\w-]{43}$/);
    const { origin } = new URL(controller.url);
    const call = async (method: string, path: string, more: Record<string, string> = {}): Promise<number> =>
      (await fetch(new URL(path, origin), { method, headers: { cookie, origin, ...more } })).status;
    for (const path of ['/api/me', '/api/vm', '/api/credentials', '/api/system', '/api/users']) {
      expect([path, await call('GET', path)]).toEqual([path, 401]);
    }
    for (const path of [
      '/api/login-tokens',
      '/api/vm/auth',
      '/api/logout',
      '/api/vm/vm_0123456789abcdef/desktop-ticket',
    ]) {
      expect([path, await call('POST', path)]).toEqual([path, 401]);
    }
    expect(await call('GET', '/api/me', { [pageHeader]: cookie.slice('airlock='.length) })).toBe(401);
    const socket = new WebSocket(
      new URL(`/api/vm/vm_0123456789abcdef/desktop?ticket=${'x'.repeat(43)}`, origin.replace('http', 'ws')),
      { headers: { cookie, origin } },
    );
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(401);
    socket.on('error', () => undefined).terminate();
  });

  it('serves a page that cannot use it either', async () => {
    await signInAs('ada');
    await page.goto(url);
    expect(await page.evaluate(() => localStorage.getItem('airlock.page'))).toBeNull();
    const outcome = await page.evaluate(async (target) => {
      const answer = await fetch(`${target}/api/me`, { credentials: 'include' }).then(
        ({ status }) => String(status),
        () => 'refused',
      );
      await fetch(`${target}/api/logout`, { method: 'POST', mode: 'no-cors', credentials: 'include' }).catch(
        () => undefined,
      );
      return answer;
    }, controller.url);
    expect(outcome).toBe('refused');
    await page.goto(`${controller.url}/dashboard/remote-cli`);
    await untilSignedInAs('ada');
  });
});
