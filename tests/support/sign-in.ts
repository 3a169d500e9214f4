/**
 * A person on the dashboard signs in to one CLI after the other, on the provider's page inside the desktop, by mouse and keyboard through
 * noVNC, with everything real but the providers. The steps are those that each provider's test is made of; its CLI VM is the same.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Browser, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { z } from 'zod';
import { homePaths } from '@airlock/contract/home';
import { CredentialList, VmList, type Vm } from '@airlock/contract/api';
import { CheckResult, proofName } from '@airlock/contract/guest';
import { imageFiles } from '@airlock/contract/image';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { Session } from '@airlock/contract/session';
import type { StreamingClient } from '@airlock/contract/http-client';
import { apiClient, endController } from './api.js';
import { launchBrowser } from './browser.js';
import { findCanary } from './canary.js';
import { clickColour, pressKey, typeText, waitForColour } from './canvas.js';
import { startController, type RunningController } from './controller.js';
import { createFakeInternet, pageColours, type FakeInternet } from './fake-internet.js';
import { createTestHome, type TestHome } from './home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from './leaks.js';
import { patience } from './patience.js';
import { until } from './poll.js';
import { listenAsHelper, type ListeningHelper } from './privileged-helper.js';

/** Generous (ms, on an ordinary host): everything in the guest runs under emulation, on a machine that may be busy. */
export const bootMs = 240_000;
export const pageMs = 180_000;
/** The next desktop boots while the person is busy with the one before; an emulated host has no processor to spare for that. */
const isWarm = patience === 1;
/** Background of the terminal in the golden image. */
const terminalColour = { r: 0x1d, g: 0x24, b: 0x2c };

const isLive = ({ state }: Vm): boolean => !['destroyed', 'failed'].includes(state);

export class SignInScenario {
  readonly canaryPassword = `Pw-${randomBytes(9).toString('base64url')}{@`;
  readonly canaryToken = `canary${randomBytes(12).toString('hex')}`;
  readonly #endings: (() => Promise<unknown>)[] = [];
  #before!: Snapshot;
  /** With TEST_NETWORK=netns; TEST_DRIVER is the VMM that is asked for. */
  #helper: ListeningHelper | undefined;
  home!: TestHome;
  internet!: FakeInternet;
  controller!: RunningController;
  browser!: Browser;
  page!: Page;

  /** The one that is signed in to, or was last; also the folder of its screenshots below $TEST_SCREENSHOTS. */
  #provider: ProviderId = 'codex';

  async open(): Promise<void> {
    const { canaryToken } = this;
    this.home = await createTestHome();
    this.#endings.push(this.home.remove);
    this.#before = await takeSnapshot({ home: this.home.path });
    const account = { email: 'ada@example.com', password: this.canaryPassword };
    this.internet = await createFakeInternet({ ports: [0, 0], canaryToken, account });
    this.#endings.push(this.internet.close);
    await writeFile(join(this.home.path, 'test-ca.pem'), this.internet.caPem);
    if (process.env['TEST_NETWORK'] === 'netns') {
      this.#helper = await listenAsHelper(this.home.path, { memory: '/dev/shm' });
      this.#endings.push(this.#helper.close);
    }
    await this.startController();
    this.#endings.push(async () => endController(this.controller));
    this.browser = await launchBrowser();
    this.#endings.push(async () => this.browser.close());
    this.page = await this.browser.newPage({ viewport: { width: 1440, height: 900 } });
    this.page.setDefaultTimeout(30_000 * patience);
  }

  async startController(): Promise<void> {
    const env = {
      AIRLOCK_UPSTREAM_PROXY: this.internet.upstreamTemplate,
      AIRLOCK_PROXY_PORT_BASE: String(this.internet.port),
      AIRLOCK_EXTRA_CA: join(this.home.path, 'test-ca.pem'),
      ...(this.#helper && { AIRLOCK_NETWORK: 'netns', AIRLOCK_HELPER_SOCKET: this.#helper.socket }),
      AIRLOCK_VMM: process.env['TEST_DRIVER'] ?? 'auto',
      AIRLOCK_POOL: isWarm ? '1' : '0',
      ...(availableParallelism() === 1 && { AIRLOCK_VM_CPUS: '1' }),
    };
    this.controller = await startController({ home: this.home.path, env });
  }

  /** Ends everything that was started; nothing the second time. */
  async close(): Promise<void> {
    for (const end of this.#endings.splice(0).toReversed()) await end();
  }

  async closeAndExpectNoLeaks(): Promise<void> {
    await this.close();
    await untilNoLeaks(this.#before, 20_000);
  }

  get sessionId(): string {
    return new URL(this.page.url()).searchParams.get('session') ?? '';
  }
  get canvas(): Locator {
    return this.page.getByTestId('desktop').locator('canvas');
  }

  async screenshot(name: string): Promise<void> {
    const shots = process.env['TEST_SCREENSHOTS'];
    if (shots === undefined) return;
    const folder = join(shots, this.#provider);
    await mkdir(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  async expectStatus(status: string | RegExp, timeoutMs: number): Promise<void> {
    const shown = this.page.getByTestId('session-status');
    await expect
      .poll(() => shown.getAttribute('data-status'), { timeout: timeoutMs * patience })
      .toMatch(new RegExp(status));
  }

  /** From the one-time link to the list of providers. */
  async enter(): Promise<void> {
    const { page, controller } = this;
    await page.goto(controller.loginUrl);
    await page.getByTestId('login-agree').click();
    await page.getByTestId('connect-codex').waitFor();
    expect(page.url()).toBe(`${controller.url}/dashboard/remote-cli`);
    expect(await page.getByTestId(/^provider-/).count()).toBe(3);
    await this.screenshot('1-providers');
  }

  /** From Connect to the provider's page in the desktop; the desktop of the sign-in before is ended first. */
  async connect(provider: ProviderId): Promise<void> {
    const { page } = this;
    this.#provider = provider;
    await this.#endDesktops();
    await this.#untilWarm();
    await page.goto(`${this.controller.url}/dashboard/remote-cli`);
    await page.getByTestId(`connect-${provider}`).click();
    await page.waitForURL(/remote-cli\/auth\?session=ses_/);
    const step = page.getByTestId('step-browser_vm');
    await expect
      .poll(() => step.getAttribute('data-status'), { timeout: 10_000 * patience })
      .toMatch(/^(running|done)$/);
    await this.screenshot('2-waiting');
    await this.expectStatus(/^(ready|awaiting_user_auth)$/, bootMs);
    await this.canvas.waitFor();
    await waitForColour(this.canvas, terminalColour, { timeoutMs: 60_000, tolerance: 8, minPixels: 100_000 });
    await this.screenshot('3-desktop');
    await waitForColour(this.canvas, pageColours.primaryButton, { timeoutMs: pageMs });
    await this.expectStatus(/^awaiting_user_auth$/, 10_000);
    await this.screenshot('4-login-page');
  }

  async #endDesktops(): Promise<void> {
    const api = apiClient(this.controller.url, this.controller.token);
    const { vms } = await api.call('GET', '/api/vm', VmList);
    const open = vms.filter(({ sessionId, kind }) => kind === 'browser' && sessionId !== null).filter(isLive);
    for (const { id } of open) await api.call('DELETE', `/api/vm/${id}`, null);
    await api.close();
  }

  /** The pool is as it should be: nothing of it changes by itself. */
  async #untilWarm(): Promise<void> {
    if (!isWarm) return;
    const api = apiClient(this.controller.url, this.controller.token);
    const isThere = async (): Promise<boolean> =>
      (await api.call('GET', '/api/vm', VmList)).vms.some(({ state }) => state === 'waiting');
    await until('a VM to wait', isThere, { timeoutMs: bootMs });
    await api.close();
  }

  /** What the vault has of this provider. */
  async #credentials(api: StreamingClient): Promise<z.infer<typeof CredentialList>['credentials']> {
    const { credentials } = await api.call('GET', '/api/credentials', CredentialList);
    return credentials.filter(({ provider }) => provider === this.#provider);
  }

  /** With the right password at once; ends on the consent page. */
  async logIn(): Promise<void> {
    const { canvas } = this;
    await clickColour(canvas, pageColours.emailField, { timeoutMs: 30_000 });
    await typeText(canvas, this.internet.account.email, 60);
    await pressKey(canvas, 'Tab');
    await typeText(canvas, this.canaryPassword, 60);
    await clickColour(canvas, pageColours.primaryButton, { timeoutMs: 30_000 });
    await waitForColour(canvas, pageColours.denyButton, { timeoutMs: pageMs });
  }

  /** Refuses on the consent page: the session tells so and what the CLI said, keeps its desktop, and stores no credential. */
  async deny(saysTheCli: string): Promise<void> {
    await clickColour(this.canvas, pageColours.denyButton, { timeoutMs: 30_000 });
    const api = apiClient(this.controller.url, this.controller.token);
    const session = (): Promise<Session> => api.call('GET', `/api/vm/auth/${this.sessionId}`, Session);
    const { status, notice, desktopReady } = await until(
      'the session to tell of the refusal',
      async () => session().then((found) => (found.notice === null ? null : found)),
      { timeoutMs: pageMs },
    );
    expect([status, desktopReady, notice?.code]).toEqual(['awaiting_user_auth', true, 'login_failed']);
    expect(notice?.hint).toContain('denied');
    expect(notice?.details?.['lastOutput']).toContain(saysTheCli);
    expect(await this.#credentials(api)).toEqual([]);
    await api.close();
    const strip = this.page.getByTestId('failed-try');
    await strip.getByText(notice?.hint ?? '').waitFor();
    expect(await strip.textContent()).toContain(notice?.message);
    await this.screenshot('5-denied');
  }

  /** Presses what starts the login anew in the same desktop; ends on the provider's page. */
  async tryAgain(button: 'login-again' | 'rung-browser' = 'login-again'): Promise<void> {
    await this.page.getByTestId(button).click();
    await waitForColour(this.canvas, pageColours.primaryButton, { timeoutMs: pageMs });
    await this.expectStatus(/^awaiting_user_auth$/, 10_000);
    await this.screenshot('6-login-page-again');
  }

  /** Opens the ladder of other ways, which tells why the last try failed if one did; answers what it tells. */
  async openLadder(): Promise<string> {
    await this.page.getByTestId('other-ways').click();
    await this.page.getByTestId('ladder').waitFor();
    await this.screenshot('5-ladder');
    const reason = this.page.getByTestId('ladder-reason');
    return (await reason.count()) === 0 ? '' : ((await reason.textContent()) ?? '');
  }

  /** A wrong password first, which the page tells, then the right one; ends on the consent page. */
  async logInAtTheSecondTry(): Promise<void> {
    const { canvas } = this;
    await clickColour(canvas, pageColours.emailField, { timeoutMs: 30_000 });
    await typeText(canvas, this.internet.account.email, 60);
    await pressKey(canvas, 'Tab');
    await typeText(canvas, 'wrong', 60);
    await clickColour(canvas, pageColours.primaryButton, { timeoutMs: 30_000 });
    await waitForColour(canvas, pageColours.errorBanner, { timeoutMs: pageMs });
    await clickColour(canvas, pageColours.passwordField, { timeoutMs: 30_000 });
    await typeText(canvas, this.canaryPassword, 60);
    await clickColour(canvas, pageColours.primaryButton, { timeoutMs: 30_000 });
    await waitForColour(canvas, pageColours.allowButton, { timeoutMs: pageMs });
    await this.screenshot('5-consent');
  }

  /** Agrees, and waits until the page says that it is done. */
  async allowAndComplete(): Promise<void> {
    await clickColour(this.canvas, pageColours.allowButton, { timeoutMs: 30_000 });
    await this.expectCompleted();
  }

  /**
   * Agrees, and `refuse` makes the provider refuse the login before the CLI in the CLI VM is asked: the page tells `reason`, no credential
   * stays, and the desktop does. Ends there, with the provider as it was.
   */
  async allowAndBeRefused(refuse: (on: boolean) => void, reason: string): Promise<void> {
    const api = apiClient(this.controller.url, this.controller.token);
    const session = (): Promise<Session> => api.call('GET', `/api/vm/auth/${this.sessionId}`, Session);
    await clickColour(this.canvas, pageColours.allowButton, { timeoutMs: 30_000 });
    const isTaken = async (): Promise<boolean> =>
      (await session()).steps.some(({ name, status }) => name === 'credential' && status === 'done');
    await until('the credential to be taken out of the desktop', isTaken, { timeoutMs: pageMs, intervalMs: 100 });
    refuse(true);
    const refused = await until('the session to tell of the refusal', async () => (await session()).notice, {
      timeoutMs: bootMs + pageMs,
    });
    refuse(false);
    expect([refused.code, refused.message]).toEqual(['proof_failed', reason]);
    expect(await session()).toMatchObject({ status: 'awaiting_user_auth', desktopReady: true });
    expect(await this.#credentials(api)).toEqual([]);
    await api.close();
    await this.page
      .getByTestId('failed-try')
      .getByText(refused.hint ?? '')
      .waitFor();
    expect(await this.page.getByTestId('failed-try').textContent()).toContain(reason);
    await this.screenshot('5-refused');
  }

  /**
   * The page says that it is done: sealed, handed over, and accepted by the CLI in the CLI VM, which `proved` is about. What the
   * CLIs say to that is asked in `expectAllThereAfterKill`.
   */
  async expectCompleted(): Promise<void> {
    const { page } = this;
    await page.getByTestId('result').waitFor({ timeout: (bootMs + pageMs) * patience });
    expect(await page.getByTestId('result').getAttribute('data-status')).toBe('completed');
    await this.screenshot('6-done');
    const api = apiClient(this.controller.url, this.controller.token);
    const session = await api.call('GET', `/api/vm/auth/${this.sessionId}`, Session);
    expect(session).toMatchObject({ status: 'completed', error: null, expiresAt: null });
    expect(session.steps.map((step) => step.status)).toEqual(session.steps.map(() => 'done'));
    expect(Date.parse(session.destroyAt ?? '') - Date.now()).toBeGreaterThan(29 * 60_000);
    this.#tellTimes(session);
    expect(await this.#credentials(api)).toMatchObject([{ state: 'active' }]);
    await api.close();
  }

  /** Names of what the CLI wrote beside its login, by the controller's log. */
  leftOut(): string[] {
    const lines = this.controller.log().split('\n');
    return lines.flatMap((line) => {
      const found = /"leftOut":(\[[^\]]*\])/.exec(line)?.[1];
      return found === undefined ? [] : (JSON.parse(found) as string[]);
    });
  }

  /** Asks the CLI in the "Try it" box of the page, with the new login. */
  async tryIt(question: string, answer: string): Promise<void> {
    const { page } = this;
    await page.getByRole('link', { name: 'Back to your CLIs' }).click();
    const box = page.getByTestId('try-it');
    await box.getByLabel('Your prompt').fill(question);
    await box.getByTestId('prompt-ask').click();
    await box
      .getByTestId('prompt-text')
      .getByText(answer, { exact: true })
      .waitFor({ timeout: pageMs * patience });
    await box.getByText('Exit code 0').waitFor({ timeout: pageMs * patience });
    await this.screenshot('7-try-it');
  }

  /** How long each step took, in the test's output: the machine's part of a sign-in. */
  #tellTimes(session: Session): void {
    const time = (at: string | null | undefined): number => Date.parse(at ?? '');
    const times = session.steps.map(
      (step) => `${step.name} ${((time(step.finishedAt) - time(step.startedAt)) / 1000).toFixed(1)} s`,
    );
    process.stdout.write(`${this.#provider}: ${times.join(', ')}\n`);
  }

  /** Everything went through the user's own upstream port, this address among it. */
  expectOwnUpstream(host: string, path: string): void {
    const used = new Set(this.internet.requests.map((request) => request.port));
    expect([...used]).toEqual([this.internet.port]);
    expect(this.internet.requests.some((request) => request.host === host && request.path === path)).toBe(true);
  }

  /** Password and tokens are nowhere but in the vault, sealed, `logins` of them. */
  async expectSecretsOnlyInVault(logins: number): Promise<void> {
    const pool = new pg.Pool({
      host: homePaths(this.home.path).database,
      database: 'postgres',
      user: 'postgres',
      max: 1,
    });
    try {
      const found = await findCanary(
        { password: this.canaryPassword, token: this.canaryToken },
        {
          roots: [this.home.path, '/dev/shm'],
          base: join(this.home.image, imageFiles.rootfs),
          query: (sql) => pool.query(sql),
        },
      );
      expect(found).toEqual([]);
      expect(this.controller.log()).not.toContain(this.canaryToken);
      expect(this.controller.log()).not.toContain(this.canaryPassword);
      const { rows } = await pool.query('select sealed from airlock.credentials');
      expect(rows).toHaveLength(logins);
    } finally {
      await pool.end();
    }
  }

  /**
   * Kills the controller: the next one adopts the VMs, each CLI still says that it is logged in, in its words, and all VMs stop when told.
   */
  async expectAllThereAfterKill(saysTheCli: Partial<Record<ProviderId, string>>): Promise<void> {
    await this.#untilWarm();
    const api = apiClient(this.controller.url, this.controller.token);
    const { vms: before } = await api.call('GET', '/api/vm', VmList);
    await api.close();
    const isWell = before.map(({ kind, state, error }) => ({ kind, state, error }));
    for (const kind of ['browser', 'cli']) expect(isWell).toContainEqual({ kind, state: 'running', error: null });
    await this.controller.kill9();
    await this.startController();
    const again = apiClient(this.controller.url, this.controller.token);
    const { vms } = await again.call('GET', '/api/vm', VmList);
    expect(vms.map((vm) => [vm.id, vm.state])).toEqual(before.map((vm) => [vm.id, vm.state]));
    const path = `/api/vm/${vms.find((vm) => vm.kind === 'cli')?.id ?? ''}/check`;
    for (const [provider, words] of Object.entries(saysTheCli)) {
      const body = { name: proofName(provider as ProviderId) };
      const proof = await again.call('POST', path, CheckResult, { body, timeoutMs: 120_000 * patience });
      expect(proof).toMatchObject({ ok: true, output: expect.stringContaining(words) as string });
    }
    await this.page.goto(this.controller.loginUrl);
    await this.page.getByTestId('login-agree').click();
    await this.page.getByTestId(`provider-${this.#provider}`).waitFor();
    await this.screenshot('8-connected');
    await again.call('POST', '/api/system/stop-vms', null, { timeoutMs: 90_000 * patience });
    const stopped = await again.call('GET', '/api/vm', VmList);
    const states = Object.fromEntries(stopped.vms.map((vm) => [vm.kind, vm.state]));
    expect(states).toEqual({ browser: 'destroyed', cli: 'stopped' });
    await again.close();
  }
}
