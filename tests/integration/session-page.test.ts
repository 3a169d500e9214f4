/** The page of a sign-in in a real browser, with every answer of the controller given by the test: what a person sees and can do. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { LoginMethod } from '@airlock/contract/guest';
import type { Session } from '@airlock/contract/session';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin as origin, openDashboard, screenshots, type ApiCall } from '../support/built-dashboard.js';
import { sampleSession, sessionId as id } from '../support/sample-session.js';

/** As the CLI shows it. */
const ownPage =
  'https://auth.openai.com/oauth/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&state=s';
const logins: Record<LoginMethod, Session['login']> = {
  browser: { method: 'browser', takesCode: false, deviceCode: null },
  device_code: {
    ...{ method: 'device_code', takesCode: false },
    deviceCode: { url: 'https://auth.openai.com/codex/device', code: 'G6C3-T6CV2' },
  },
  callback: { method: 'callback', takesCode: true, deviceCode: { url: ownPage, code: null } },
};
const notice = {
  code: 'proof_failed',
  message: 'The Codex CLI in the CLI VM does not accept the credential (exit code 1).',
  hint: 'Sign in again. If it happens twice, the CLI’s own output below says why.',
  details: { output: 'Not logged in' },
} as const;

let browser: Browser;
let page: Page;
let session: Session;
/** Who is signed in. */
let person: string;
/** What a pasted text is answered. */
let refusal: AppError | undefined;
let calls: { call: string; body: unknown }[];

const soon = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

function change(values: Partial<Session>): Session {
  session = { ...session, ...values, revision: session.revision + 1 };
  return session;
}

/** The controller's part in what the page does. */
function answer({ call, body, route }: ApiCall): unknown {
  if (!call.startsWith('GET')) calls.push({ call, body });
  switch (call) {
    case 'GET /api/me':
      return { user: { id: 'usr_0123456789abcdef', name: person, role: 'user', proxyPort: 10001, createdAt: soon(0) } };
    case 'GET /api/providers':
      return { providers: [] };
    case `POST /api/vm/auth/${id}/extend`:
      return change({ expiresAt: session.expiresAtMost });
    case `POST /api/vm/auth/${id}/fallback`:
      return change({ login: logins[LoginMethod.parse(body['method'])] });
    case `POST /api/vm/auth/${id}/code`:
      if (refusal) return route.fulfill({ status: refusal.status, json: { error: refusal.toBody() } });
      return session.login?.method === 'callback' ? change({ login: { ...session.login, takesCode: false } }) : session;
    case `POST /api/vm/auth/${id}/cancel`:
      return change({ status: 'cancelled', login: null, expiresAt: null, desktopReady: false });
    case 'PUT /api/credentials/codex/api-key':
      return { provider: 'codex', generation: 1 };
    default:
      return session;
  }
}

async function open(values: Partial<Session> = {}): Promise<void> {
  change(values);
  await page.goto(`${origin}/dashboard/remote-cli/auth?session=${id}`);
  await page.getByTestId('session-status').waitFor();
}

const screenshot = (name: string): Promise<void> => screenshots(page, name);

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  session = sampleSession();
  person = 'ada';
  refusal = undefined;
  calls = [];
  page = await openDashboard(browser, answer);
});
afterEach(() => page.context().close());

describe('the page of a sign-in', () => {
  it('asks for the setting that the CLI needs, takes only what can be one, and goes on with it', async () => {
    const needed = { ...notice, code: 'setting_needed', details: { setting: 'project' } } as const;
    await open({ provider: 'gemini_cli', login: null, notice: needed });
    const form = page.getByTestId('setting-project');
    const field = form.getByLabel('Google Cloud project');
    await field.fill('123456789012');
    expect(await form.getByRole('button').isDisabled()).toBe(true);
    await screenshot('setting');
    await field.fill(' my-project-123 ');
    await field.press('Enter');
    await form.waitFor({ state: 'detached' });
    expect(calls).toEqual([
      {
        call: `POST /api/vm/auth/${id}/fallback`,
        body: { method: 'browser', settings: { project: 'my-project-123' } },
      },
    ]);
  });

  it.each([
    ['wide', 1280, 800],
    ['on a phone', 390, 844],
  ])('tells at every stage whose vault the credential goes to, %s', async (_what, width, height) => {
    const name = 'a-colleague-with-a-rather-long-name.ada';
    person = name;
    await page.setViewportSize({ width, height });
    const stages: Partial<Session>[] = [
      { status: 'pending', login: null, desktopReady: false },
      {},
      {
        login: {
          method: 'device_code',
          deviceCode: { url: 'https://auth.openai.com/codex/device', code: 'G6C3-T6CV2' },
          takesCode: false,
        },
      },
      { status: 'delivering', login: null },
    ];
    for (const values of stages) {
      await open(values);
      const owner = page.getByTestId('vault-owner');
      expect(await owner.innerText()).toBe(`Goes to the vault of ${name}`);
      const box = await owner.boundingBox();
      expect(box && box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height).toBe(true);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    }
    await screenshot('owner-long');
    await open({ status: 'completed', login: null, expiresAt: null, desktopReady: false });
    expect(await page.getByTestId('result').innerText()).toContain(`in the vault of ${name},`);
    await screenshot('owner-result');
  });

  it('shows the time left; Extend gives more, until there is none', async () => {
    await open();
    expect(await page.getByTestId('countdown').textContent()).toMatch(/3:\d\d/);
    expect(await page.getByTestId('last-minute').count()).toBe(0);
    await page.getByTestId('extend').click();
    await page
      .getByTestId('countdown')
      .getByText(/2[45]:\d\d/)
      .waitFor();
    expect(await page.getByTestId('extend').count()).toBe(0);
    expect(calls.map(({ call }) => call)).toEqual([`POST /api/vm/auth/${id}/extend`]);
  });

  it('warns in the last minute', async () => {
    await open({ expiresAt: soon(45) });
    expect(await page.getByTestId('last-minute').textContent()).toContain('Press Extend');
    await screenshot('last-minute');
  });

  it('says why a try failed, with the desktop still there, and begins again', async () => {
    await open({ login: null, notice });
    await page.getByTestId('failed-try').getByText(notice.message).waitFor();
    await page.getByTestId('desktop').waitFor();
    await screenshot('failed-try');
    await page.getByTestId('login-again').click();
    await page.getByTestId('failed-try').waitFor({ state: 'detached' });
    expect(calls).toEqual([{ call: `POST /api/vm/auth/${id}/fallback`, body: { method: 'browser' } }]);
  });

  it('offers other ways with their reasons; a code for another device can be copied', async () => {
    await open({ login: null, notice });
    await page.getByTestId('other-ways').click();
    await page.getByTestId('ladder-reason').getByText(notice.message).waitFor();
    expect(await page.getByTestId('ladder').getByRole('listitem').count()).toBe(4);
    await screenshot('ladder');
    await page.getByTestId('rung-device-code').click();
    const panel = page.getByTestId('device-code');
    await panel.getByText('G6C3-T6CV2').waitFor();
    expect(await panel.textContent()).toContain(notice.message);
    expect(await page.getByTestId('device-url').getAttribute('href')).toBe('https://auth.openai.com/codex/device');
    await page.getByTestId('ladder').waitFor({ state: 'detached' });
    await screenshot('device-code');
    await panel.getByRole('button', { name: 'Copy the code' }).click();
    await panel.getByText('Copied').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('G6C3-T6CV2');
  });

  it('signs in with the person’s own browser: shows the page, takes the address at its end, and says what is wrong', async () => {
    await open({ login: null, notice });
    await page.getByTestId('other-ways').click();
    await page.getByTestId('rung-callback').click();
    const panel = page.getByTestId('own-browser');
    await panel.getByText('127.0.0.1:1455').waitFor();
    expect(await panel.textContent()).toContain(notice.message);
    expect(await page.getByTestId('callback-page').getAttribute('href')).toBe(ownPage);
    await screenshot('own-browser');
    const field = panel.getByLabel(/is kept nowhere/);
    await field.fill('https://auth.openai.com/oauth/authorize');
    refusal = new AppError('invalid_request', 'What was pasted is not the address.', { hint: 'Copy the whole one.' });
    await field.press('Enter');
    await panel.getByText('Copy the whole one.').waitFor();
    refusal = undefined;
    const address = 'http://127.0.0.1:1455/auth/callback?code=c&state=s';
    await field.fill(` ${address} `);
    await panel.getByRole('button', { name: 'Send the address' }).click();
    await panel.waitFor({ state: 'detached' });
    await page.getByTestId('session-status').getByText('Codex has the address').waitFor();
    expect(calls).toEqual([
      { call: `POST /api/vm/auth/${id}/fallback`, body: { method: 'callback' } },
      { call: `POST /api/vm/auth/${id}/code`, body: { code: 'https://auth.openai.com/oauth/authorize' } },
      { call: `POST /api/vm/auth/${id}/code`, body: { code: address } },
    ]);
  });

  it.each([
    ['at another host', ownPage.replace('openai.com', 'openai.com.evil.example')],
    ['that leads back to the internet', ownPage.replace('http%3A%2F%2F127.0.0.1%3A1455', 'https%3A%2F%2Fevil.example')],
  ])('shows no page %s', async (_what, url) => {
    await open({ login: { method: 'callback', takesCode: true, deviceCode: { url, code: null } } });
    await page.getByText('no page of OpenAI').waitFor();
    expect(await page.locator('a[href*="oauth/authorize"], input').count()).toBe(0);
  });

  it('takes a pasted code while the CLI asks for one, and does not keep it', async () => {
    await open({ login: { method: 'browser', deviceCode: null, takesCode: true } });
    await page.getByLabel(/paste it here/).fill(' 4/0Ab-pasted ');
    await screenshot('paste-code');
    await page.getByRole('button', { name: 'Send the code' }).click();
    await expect.poll(() => page.getByLabel(/paste it here/).inputValue()).toBe('');
    expect(calls).toEqual([{ call: `POST /api/vm/auth/${id}/code`, body: { code: '4/0Ab-pasted' } }]);
  });

  it('takes an API key as the last way: the sign-in is ended, then the key is handed in', async () => {
    await open();
    await page.getByTestId('other-ways').click();
    await page.getByTestId('api-key').fill('sk-no');
    await page.getByText('This does not look like a whole API key.').waitFor();
    await page.getByTestId('api-key').fill('sk-test-1234567890abcdefghijklmnop');
    await page.getByRole('button', { name: 'Use this key' }).click();
    await page.waitForURL(`${origin}/dashboard/remote-cli`);
    expect(calls.map(({ call }) => call)).toEqual([
      `POST /api/vm/auth/${id}/cancel`,
      'PUT /api/credentials/codex/api-key',
    ]);
    expect(calls[1]?.body).toEqual({ key: 'sk-test-1234567890abcdefghijklmnop' });
  });
});
