/**
 * The main job, whole: a person on the dashboard connects Codex, signs in on the provider's page inside the desktop, by
 * mouse and keyboard through noVNC, and the CLI in the CLI VM says that it is logged in. Only the provider is simulated.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CredentialList, VmList } from '@airlock/contract/api';
import { CheckResult } from '@airlock/contract/guest';
import { Session } from '@airlock/contract/session';
import { apiClient, endController } from '../support/api.js';
import { launchBrowser } from '../support/browser.js';
import { findCanary } from '../support/canary.js';
import { clickColour, pressKey, typeText, waitForColour, waitForPicture } from '../support/canvas.js';
import { countColour } from '../support/image.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, pageColours, type FakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';

/** Generous: everything in the guest runs under emulation, on a machine that may be busy. */
const bootMs = 240_000;
const pageMs = 180_000;

const canaryPassword = `Pw-${randomBytes(9).toString('base64url')}{@`;
const canaryToken = `canary${randomBytes(12).toString('hex')}`;
/** Background of the terminal in the golden image. */
const terminalColour = { r: 0x1d, g: 0x24, b: 0x2c };
const shots = process.env['AIRLOCK_SCREENSHOTS'];

const endings: (() => Promise<unknown>)[] = [];

let before: Snapshot;
let home: TestHome;
let internet: FakeInternet;
let controller: RunningController;
let browser: Browser;
let page: Page;

const settings = (): Record<string, string> => ({
  AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
  AIRLOCK_PROXY_PORT_BASE: String(internet.port),
  AIRLOCK_EXTRA_CA: join(home.path, 'test-ca.pem'),
});

async function screenshot(name: string): Promise<void> {
  if (!shots) return;
  await mkdir(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}

const sessionId = (): string => new URL(page.url()).searchParams.get('session') ?? '';
const status = (): Locator => page.getByTestId('session-status');
const canvas = (): Locator => page.getByTestId('desktop').locator('canvas');

beforeAll(async () => {
  home = await createTestHome();
  endings.push(home.remove);
  before = await takeSnapshot({ home: home.path });
  internet = await createFakeInternet({
    ports: [0, 0],
    canaryToken,
    account: { email: 'ada@example.com', password: canaryPassword },
  });
  endings.push(internet.close);
  await writeFile(join(home.path, 'test-ca.pem'), internet.caPem);
  controller = await startController({ home: home.path, env: settings() });
  endings.push(async () => endController(controller));
  browser = await launchBrowser();
  endings.push(async () => browser.close());
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
}, 180_000);

afterAll(async () => {
  await close();
});

/** Ends everything this file started; nothing the second time. */
async function close(): Promise<void> {
  for (const end of endings.splice(0).toReversed()) await end();
}

describe('a Codex sign-in', () => {
  it('shows three providers after the one-time link, Codex ready to connect', async () => {
    await page.goto(controller.loginUrl);
    await page.getByTestId('connect-codex').waitFor();
    expect(page.url()).toBe(`${controller.url}/dashboard/remote-cli`);
    expect(await page.getByTestId(/^provider-/).count()).toBe(3);
    await screenshot('1-providers');
  });

  it('opens the desktop and the provider’s page in it after Connect', async () => {
    await page.getByTestId('connect-codex').click();
    await page.waitForURL(/remote-cli\/auth\?session=ses_/);
    await expect.poll(() => page.getByTestId('step-browser_vm').getAttribute('data-status')).toBe('running');
    await screenshot('2-waiting');
    await expect
      .poll(() => status().getAttribute('data-status'), { timeout: bootMs })
      .toMatch(/^(ready|awaiting_user_auth)$/);
    await canvas().waitFor();
    await waitForPicture(
      canvas(),
      'the desktop to be drawn',
      (image) => countColour(image, terminalColour, 8) > 100_000,
      {
        timeoutMs: 60_000,
      },
    );
    await screenshot('3-desktop');
    await waitForColour(canvas(), pageColours.primaryButton, { timeoutMs: pageMs });
    await expect.poll(() => status().getAttribute('data-status'), { timeout: 10_000 }).toBe('awaiting_user_auth');
    await screenshot('4-login-page');
  }, 460_000);

  it('survives a reload of the page', async () => {
    await page.reload();
    await canvas().waitFor();
    await waitForColour(canvas(), pageColours.primaryButton, { timeoutMs: 60_000 });
  }, 90_000);

  it('takes mouse and keyboard: a wrong password is told, the right one goes on to consent', async () => {
    await clickColour(canvas(), pageColours.emailField, { timeoutMs: 30_000 });
    await typeText(canvas(), 'ada@example.com', 60);
    await pressKey(canvas(), 'Tab');
    await typeText(canvas(), 'wrong', 60);
    await clickColour(canvas(), pageColours.primaryButton, { timeoutMs: 30_000 });
    await waitForColour(canvas(), pageColours.errorBanner, { timeoutMs: pageMs });
    await clickColour(canvas(), pageColours.passwordField, { timeoutMs: 30_000 });
    await typeText(canvas(), canaryPassword, 60);
    await clickColour(canvas(), pageColours.primaryButton, { timeoutMs: 30_000 });
    await waitForColour(canvas(), pageColours.allowButton, { timeoutMs: pageMs });
    await screenshot('5-consent');
  }, 460_000);

  it('completes: sealed, handed over, and accepted by the CLI in the CLI VM', async () => {
    await clickColour(canvas(), pageColours.allowButton, { timeoutMs: 30_000 });
    await page.getByTestId('result').waitFor({ timeout: bootMs + pageMs });
    expect(await page.getByTestId('result').getAttribute('data-status')).toBe('completed');
    await screenshot('6-done');
    const api = apiClient(controller.url, controller.token);
    const session = await api.call('GET', `/api/vm/auth/${sessionId()}`, Session);
    expect(session).toMatchObject({ status: 'completed', error: null, expiresAt: null });
    expect(session.steps.map((step) => step.status)).toEqual(session.steps.map(() => 'done'));
    expect(Date.parse(session.destroyAt ?? '') - Date.now()).toBeGreaterThan(29 * 60_000);
    const proof = await api.call('POST', `/api/vm/${session.cliVmId}/check`, CheckResult, {
      body: { name: 'proof_codex' },
      timeoutMs: 120_000,
    });
    expect(proof).toMatchObject({ ok: true, output: expect.stringContaining('Logged in using ChatGPT') as string });
    const { credentials } = await api.call('GET', '/api/credentials', CredentialList);
    expect(credentials).toMatchObject([{ provider: 'codex', state: 'active' }]);
    await api.close();
  }, 460_000);

  it('went out through the user’s own upstream port only', () => {
    const used = new Set(internet.requests.map((request) => request.port));
    expect([...used]).toEqual([internet.port]);
    expect(
      internet.requests.some((request) => request.host === 'auth.openai.com' && request.path === '/oauth/token'),
    ).toBe(true);
  });

  it('leaves password and token nowhere but in the sealed vault', async () => {
    const pool = new pg.Pool({ host: join(home.path, 'db'), database: 'postgres', user: 'postgres', max: 1 });
    try {
      const found = await findCanary(
        { password: canaryPassword, token: canaryToken },
        { roots: [home.path, '/dev/shm'], query: (sql) => pool.query(sql) },
      );
      expect(found).toEqual([]);
      expect(controller.log()).not.toContain(canaryToken);
      expect(controller.log()).not.toContain(canaryPassword);
      const { rows } = await pool.query('select sealed from credentials');
      expect(rows).toHaveLength(1);
    } finally {
      await pool.end();
    }
  }, 120_000);

  it('is all still there after the controller was killed: VMs adopted, desktop viewable, CLI logged in', async () => {
    const api = apiClient(controller.url, controller.token);
    const { vms: running } = await api.call('GET', '/api/vm', VmList);
    await api.close();
    await controller.kill9();
    controller = await startController({ home: home.path, env: settings() });
    const again = apiClient(controller.url, controller.token);
    const { vms } = await again.call('GET', '/api/vm', VmList);
    expect(vms.map((vm) => [vm.id, vm.state])).toEqual(running.map((vm) => [vm.id, 'running']));
    const cli = vms.find((vm) => vm.kind === 'cli');
    const proof = await again.call('POST', `/api/vm/${cli?.id ?? ''}/check`, CheckResult, {
      body: { name: 'proof_codex' },
      timeoutMs: 120_000,
    });
    expect(proof.ok).toBe(true);
    await page.goto(controller.loginUrl);
    await page.getByTestId('provider-codex').waitFor();
    await screenshot('7-connected');
    await again.call('POST', '/api/system/stop-vms', null, { timeoutMs: 90_000 });
    const stopped = await again.call('GET', '/api/vm', VmList);
    expect(Object.fromEntries(stopped.vms.map((vm) => [vm.kind, vm.state]))).toEqual({
      browser: 'destroyed',
      cli: 'stopped',
    });
    await again.close();
  }, 300_000);

  it('leaves no process, port, mount or folder behind', async () => {
    await close();
    await untilNoLeaks(before, 20_000);
  }, 60_000);
});
