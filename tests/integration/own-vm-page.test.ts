/** The card of the person's own CLI VM in a real browser, with every answer of the controller given by the test. */
import type { Browser, Page, Route } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Vm, VmUpdateKind, VmUpdateState } from '@airlock/contract/api';
import type { ErrorBody } from '@airlock/contract/errors';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin, openDashboard, screenshots, type ApiCall } from '../support/built-dashboard.js';

let browser: Browser;
let page: Page;
let vms: Vm[];
/** What the controller's answer to a stop or start waits for, and what it is where it is an error. */
let held: Promise<void>;
let refusal: ErrorBody | null;
let calls: string[];

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
const adaId = 'usr_0123456789abcdef';
const cliId = 'vm_0123456789abcdef';

function vmOf(state: Vm['state'], values: Partial<Vm> = {}): Vm {
  return {
    ...{ id: cliId, userId: adaId, kind: 'cli', state, sessionId: null, imageId: 'img_202601011200abcdef01' },
    ...{
      accel: 'kvm',
      countMs: null,
      network: null,
      driver: null,
      driverReason: null,
      createdAt: ago(90),
      readyAt: null,
      destroyAt: null,
      uses: 0,
      error: null,
    },
    ...{ update: null, behind: null },
    stopAt: state === 'running' ? ago(-14) : null,
    timings: { vncMs: null, agentMs: null, readyMs: null },
    ...values,
  };
}

/** A stop or start, which the VM's state tells of while it is not answered yet. */
async function power(verb: string, route: Route): Promise<unknown> {
  if (refusal !== null) return void (await route.fulfill({ status: 503, json: { error: refusal } }));
  if (verb !== 'start') vms = [vmOf('stopping')];
  await held;
  vms = [vmOf(verb === 'stop' ? 'stopped' : 'starting')];
  return vms[0];
}

const newer = 'img_202602011200abcdef02';
const behind: Vm['behind'] = {
  imageId: newer,
  changes: [
    { name: 'Codex', from: '0.171.0', to: '0.172.0' },
    { name: 'Claude Code', from: '2.1.197', to: '2.1.332' },
    { name: 'Chromium', from: '147.0.7700.4', to: '147.0.7727.55' },
    { name: 'kernel', from: '6.12.48', to: '6.12.57' },
  ],
};

const updateOf = (
  state: VmUpdateState,
  kind: VmUpdateKind = 'update',
  error: ErrorBody | null = null,
): Vm['update'] => ({
  ...{ kind, state, imageId: newer, since: ago(0), error },
});

/** Another root, which is answered when it is written down. */
async function replaceRoot(kind: VmUpdateKind, route: Route): Promise<unknown> {
  if (refusal !== null) return void (await route.fulfill({ status: 503, json: { error: refusal } }));
  vms = vms.map((vm) => (vm.id === cliId ? { ...vm, update: updateOf('waiting', kind) } : vm));
  return vms.find(({ id }) => id === cliId);
}

/** The controller's part in what the page does. */
function answer({ call, body, route }: ApiCall): unknown {
  if (!call.startsWith('GET')) calls.push(Object.keys(body).length > 0 ? `${call} ${JSON.stringify(body)}` : call);
  switch (call) {
    case 'GET /api/me':
      return { user: { id: adaId, name: 'ada', role: 'user', proxyPort: 10001, createdAt: ago(0) } };
    case 'GET /api/vm':
      return { vms };
    case `POST /api/vm/${cliId}/stop`:
    case `POST /api/vm/${cliId}/start`:
    case `POST /api/vm/${cliId}/restart`:
      return power(call.split('/').at(-1) ?? '', route);
    case `POST /api/vm/${cliId}/update`:
    case `POST /api/vm/${cliId}/reset`:
      return replaceRoot(call.endsWith('reset') ? 'reset' : 'update', route);
    case 'GET /api/providers':
      return { providers: [] };
    case 'GET /api/credentials':
      return { credentials: [] };
    default:
      throw new Error(`the page called ${call}`);
  }
}

/** Resolves when the page has been told of the VMs. */
async function open(): Promise<void> {
  const told = page.waitForResponse(`${dashboardOrigin}/api/vm`);
  await page.goto(`${dashboardOrigin}/dashboard/remote-cli`);
  await told;
}

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  calls = [];
  vms = [];
  held = Promise.resolve();
  refusal = null;
  page = await openDashboard(browser, answer);
});
afterEach(() => page.context().close());

describe('the card of the CLI VM', () => {
  const card = () => page.getByTestId('own-vm');
  const stateOf = (): Promise<string | null> => card().getAttribute('data-state');
  const becomes = async (state: Vm['state']): Promise<void> => {
    await expect.poll(stateOf, { timeout: 10_000 }).toBe(state);
  };
  const press = (verb: string): Promise<void> => page.getByTestId(`${verb}-${cliId}`).click();
  const posted = (): string[] => calls.map((call) => call.replace(`POST /api/vm/${cliId}/`, ''));

  it('is of the person’s own alone, and tells when it stops by itself', async () => {
    vms = [vmOf('failed'), vmOf('running', { id: 'vm_00000000000000bb', userId: 'usr_fedcba9876543210' })];
    vms.push(vmOf('running', { id: 'vm_00000000000000br', kind: 'browser' }));
    await open();
    expect(await card().count()).toBe(0);
    vms.push(vmOf('running'));
    await page.reload();
    await card()
      .getByText(/^It stops .+ if idle\.$/)
      .waitFor();
    await screenshots(page, 'own-vm');
  });

  it('stops it, shows that meanwhile, and starts it again', async () => {
    vms = [vmOf('running')];
    await open();
    let stopped = (): void => undefined;
    held = new Promise((resolve) => (stopped = resolve));
    await press('stop');
    await becomes('stopping');
    expect(await page.getByTestId(`start-${cliId}`).count()).toBe(0);
    await screenshots(page, 'own-vm-stopping');
    stopped();
    await card().getByText('What uses it next, such as a prompt, starts it.').waitFor();
    await screenshots(page, 'own-vm-stopped');
    await press('start');
    await becomes('starting');
    await page.getByTestId(`stop-${cliId}`).waitFor();
    vms = [vmOf('running')];
    await becomes('running');
    await press('restart');
    await becomes('starting');
    expect(posted()).toEqual(['stop', 'start', 'restart']);
  });

  it.each(['stop', 'restart'])('asks before a %s that ends something', async (verb) => {
    vms = [vmOf('running', { uses: 2 })];
    await open();
    await press(verb);
    await page.getByText('2 prompts or checks run in it and end without an answer. Files stay.').waitFor();
    await screenshots(page, `own-vm-${verb}-asks`);
    await page.getByRole('button', { name: 'Let it run' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(posted()).toEqual([]);
    await press(verb);
    await page.getByTestId('power-confirm').click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await expect.poll(posted).toEqual([verb]);
  });

  it('tells why it may not start, and what its start ended with, and offers to try again', async () => {
    refusal = { code: 'capacity_exhausted', message: 'No memory is left.', hint: 'Stop another VM.' };
    vms = [vmOf('stopped')];
    await open();
    await press('start');
    await card().getByRole('alert').getByText('No memory is left.').waitFor();
    await screenshots(page, 'own-vm-refused');
    refusal = null;
    await press('start');
    await becomes('starting');
    expect(await card().getByRole('alert').count()).toBe(0);
    const error = { code: 'vm_boot_timeout', message: 'It did not come up.', hint: 'See its logs.' } as const;
    vms = [vmOf('stopped', { error })];
    await card().getByRole('alert').getByText('It did not come up.').waitFor();
    await page.getByTestId(`start-${cliId}`).waitFor();
  });

  describe('when another system is there, or asked for', () => {
    const line = () => page.getByTestId('vm-update');
    const comes = async (state: VmUpdateState, words: RegExp | string): Promise<void> => {
      await line().getByText(words).waitFor();
      expect(await line().getAttribute('data-state')).toBe(state);
    };
    const offered = (): Promise<string[]> => card().getByRole('button').allInnerTexts();

    it('tells what an update would change, does it, and how far it is', async () => {
      vms = [vmOf('stopped', { behind })];
      await open();
      await card().getByText('Update available: Codex 0.171.0 → 0.172.0, Claude Code 2.1.197 → 2.1.332').waitFor();
      expect(await offered()).toEqual(['Start', 'Reset', 'Update']);
      await screenshots(page, 'own-vm-behind');
      await press('update');
      await comes('waiting', 'Update: waits for its turn');
      expect(posted()).toEqual(['update {"now":false}']);
      expect(await offered()).toEqual(['Start']);
      await screenshots(page, 'own-vm-update-waiting');
      const states = [
        ['copying', 'stopped', 'Update: being prepared'],
        ['copied', 'running', 'Update: waits until nobody uses the VM'],
        ['proving', 'starting', 'Update: being put in'],
      ] as const;
      for (const [update, state, words] of states) {
        vms = [vmOf(state, { behind, uses: update === 'copied' ? 1 : 0, update: updateOf(update) })];
        await comes(update, words);
        await screenshots(page, `own-vm-update-${update}`);
      }
      vms = [vmOf('running', { imageId: newer })];
      await line().waitFor({ state: 'detached' });
    });

    it.each(['update', 'reset'] as const)('ends the wait of an %s until nobody uses the VM', async (kind) => {
      vms = [vmOf('running', { behind, uses: 1, update: updateOf('copied', kind) })];
      await open();
      await page.getByRole('button', { name: `Do not wait to ${kind} your CLI VM` }).click();
      await page.getByText('A prompt or a check runs in it. If you do not wait, it ends without an answer.').waitFor();
      await page.getByTestId('root-confirm').click();
      await expect.poll(posted).toEqual([`${kind} {"now":true}`]);
    });

    it('tells why an update failed and what is in use, and offers it again', async () => {
      const error: ErrorBody = {
        code: 'proof_failed',
        message: 'Codex in the new system does not accept its login: “Not logged in”.',
        hint: 'Update again later; if that does not help, connect Codex again.',
      };
      vms = [vmOf('running', { behind, update: updateOf('failed', 'update', error) })];
      await open();
      await comes('failed', 'The update failed. The old system is in use as before.');
      await line().getByRole('alert').getByText(error.message).waitFor();
      await screenshots(page, 'own-vm-update-failed');
      refusal = { code: 'image_corrupt', message: 'The image is damaged.', hint: 'Build it again.' };
      await press('update');
      await line().getByText('The image is damaged.').waitFor();
      refusal = null;
      await press('update');
      await comes('waiting', 'Update: waits for its turn');
      expect(await line().getByRole('alert').count()).toBe(0);
    });

    it.each([
      ['root-later', false],
      ['root-confirm', true],
    ])('asks before an update whether it waits for what runs: %s', async (answered, now) => {
      vms = [vmOf('running', { behind, uses: 2 })];
      await open();
      await press('update');
      await page.getByText('2 prompts or checks run in it. If you do not wait, they end without an answer.').waitFor();
      await screenshots(page, 'own-vm-update-asks');
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      expect(posted()).toEqual([]);
      await press('update');
      await page.getByTestId(answered).click();
      await comes('waiting', 'Update: waits for its turn');
      expect(posted()).toEqual([`update {"now":${now}}`]);
    });

    it('says what a reset loses and keeps, and does it when that is confirmed', async () => {
      vms = [vmOf('running')];
      await open();
      await press('reset');
      await page
        .getByText('The home stays, with its files and logins; everything outside of the home is lost.')
        .waitFor();
      expect(await page.getByTestId('root-later').count()).toBe(0);
      await screenshots(page, 'own-vm-reset-asks');
      await page.getByTestId('root-confirm').click();
      await comes('waiting', 'Reset: waits for its turn');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await screenshots(page, 'own-vm-reset');
      expect(posted()).toEqual(['reset {"now":false}']);
    });
  });

  it('fits a phone', async () => {
    await page.context().close();
    page = await openDashboard(browser, answer, { viewport: { width: 390, height: 844 }, hasTouch: true });
    vms = [vmOf('running', { behind, uses: 1 })];
    await open();
    await press('update');
    await page.getByTestId('root-later').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
  });
});
