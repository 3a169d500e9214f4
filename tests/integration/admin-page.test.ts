/** The page of the administrator in a real browser, with every answer of the controller given by the test. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CanaryReport } from '@airlock/contract/canary';
import { SystemStatus, UserList, Vm, VmList, type VmUpdateState } from '@airlock/contract/api';
import type { ErrorBody } from '@airlock/contract/errors';
import { isBehind } from '@airlock/contract/vm-update';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin, openDashboard, screenshots, type ApiCall } from '../support/built-dashboard.js';

const imageId = 'img_202601011200abcdef01';
const adaId = 'usr_0123456789abcdef';
/** Of nobody in the list of users. */
const goneId = 'usr_fedcba9876543210';
const lostHint = 'See its logs: npx airlock vm logs vm_00000000000000se';
const lost = { code: 'vm_lost', message: 'The VM ended unexpectedly.', hint: lostHint } as const;
const disk = {
  code: 'disk_full',
  message: 'There is not enough disk space: 1.2 GiB are free, 4 GiB are needed.',
  hint: 'Free some space below AIRLOCK_HOME.',
} as const;

let browser: Browser;
let page: Page;
let vms: Vm[];
let canary: CanaryReport | null;
let role: 'admin' | 'user';

const clis: SystemStatus['clis'] = [
  { id: 'claude_code', name: 'Claude Code', version: '2.1.197' },
  { id: 'codex', name: 'Codex', version: '0.169.0' },
  { id: 'gemini_cli', name: 'Gemini CLI', version: '0.61.0' },
];
const keptBack = "kept back by the image's Node 20: latest 2.1.332 asks for Node >=22.0.0";
/** One CLI that is kept back, one that no longer signs in, one that was not tried. */
const lastTrial = (): CanaryReport => ({
  at: ago(4000),
  problem: null,
  clis: [
    {
      id: 'claude_code',
      tried: '2.1.197',
      latest: '2.1.332',
      keptBack,
      signsIn: 'yes',
      failure: null,
      leftOut: ['.claude.json: oauthAccount.newMember'],
    },
    ...[
      {
        id: 'codex',
        tried: '0.171.0',
        latest: '0.171.0',
        keptBack: null,
        signsIn: 'no' as const,
        leftOut: [],
        failure: 'at "opens"',
      },
    ],
    {
      id: 'gemini_cli',
      tried: '0.61.0',
      latest: null,
      keptBack: null,
      signsIn: 'not_tried',
      failure: null,
      leftOut: [],
    },
  ],
});

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

function vmOf(name: string, state: Vm['state'], values: Partial<Vm> = {}): Vm {
  return {
    ...{ id: `vm_${name.padStart(16, '0')}`, userId: adaId, kind: 'browser', state, sessionId: null, imageId },
    ...{
      accel: 'kvm',
      countMs: null,
      network: null,
      driver: null,
      driverReason: null,
      createdAt: ago(90),
      readyAt: null,
      destroyAt: null,
      stopAt: null,
      uses: 0,
      error: null,
    },
    ...{ update: null, behind: null },
    timings: { vncMs: null, agentMs: null, readyMs: null },
    ...values,
  };
}

const ready = { vncMs: 900, agentMs: 4000, readyMs: 8400 };

const behind: NonNullable<Vm['behind']> = {
  imageId: 'img_202602011200abcdef02',
  changes: [
    { name: 'Codex', from: '0.169.0', to: '0.171.0' },
    { name: 'Claude Code', from: '2.1.197', to: '2.1.332' },
    { name: 'kernel', from: '6.12.48', to: '6.12.57' },
  ],
};

const updateOf = (state: VmUpdateState, error: ErrorBody | null = null): Vm['update'] => ({
  ...{ kind: 'update', state, imageId: behind.imageId, since: ago(1), error },
});

/** One in each state, as the controller leaves its rows. */
const inEachState = (): Vm[] => [
  vmOf('cr', 'creating', { createdAt: ago(0), destroyAt: ago(-30) }),
  vmOf('st', 'starting', { createdAt: ago(1), destroyAt: ago(-30) }),
  vmOf('ra', 'running', { createdAt: ago(2), readyAt: ago(1), timings: ready, destroyAt: ago(-28) }),
  vmOf('rb', 'running', { kind: 'cli', createdAt: ago(3), readyAt: ago(1), timings: ready, stopAt: ago(-14) }),
  vmOf('sp', 'stopping', { kind: 'cli', createdAt: ago(4000), readyAt: ago(20), timings: ready }),
  vmOf('sd', 'stopped', { kind: 'cli', createdAt: ago(5000), readyAt: ago(50), timings: ready, behind }),
  vmOf('se', 'stopped', { kind: 'cli', createdAt: ago(6000), readyAt: ago(50), timings: ready, error: lost }),
  vmOf('ds', 'destroying', { createdAt: ago(40), timings: ready, destroyAt: ago(1) }),
  vmOf('fa', 'failed', { createdAt: ago(45), destroyAt: ago(44), error: disk }),
  vmOf('dd', 'destroyed', { createdAt: ago(50), timings: ready, destroyAt: ago(20), userId: goneId }),
];

/** The controller's part in what the page does. */
function answer({ call }: ApiCall): unknown {
  const ada = { id: adaId, name: 'ada', role, proxyPort: 10001, createdAt: ago(9000) };
  switch (call) {
    case 'GET /api/me':
      return { user: ada };
    case 'GET /api/users':
      return UserList.parse({ users: [{ ...ada, state: 'active' }] });
    case 'GET /api/vm':
      return VmList.parse({ vms });
    case 'POST /api/vm/update':
      vms = vms.map((vm) => (isBehind(vm) ? { ...vm, update: updateOf('waiting') } : vm));
      return VmList.parse({ vms: vms.filter(({ update }) => update?.state === 'waiting') });
    case 'POST /api/vm/vm_00000000000000rb/stop':
      vms = vms.map((vm) => (vm.id.endsWith('rb') ? { ...vm, state: 'stopped', stopAt: null, uses: 0 } : vm));
      return Vm.parse(vms.find((vm) => vm.id.endsWith('rb')));
    case 'GET /api/system':
      return SystemStatus.parse({
        ...{ version: '0.1.0', startedAt: ago(3000), accel: 'tcg', accelReason: '/dev/kvm does not exist.', imageId },
        ...{ network: 'user', networkReason: 'No privileged helper answers.' },
        ...{ driver: 'qemu', driverReason: 'QEMU 10.0.2 with qboot.rom.' },
        ...{
          database: 'pglite',
          vms: { running: vms.filter((vm) => vm.state === 'running').length, total: vms.length },
          lostVmFolders: ['vm_00000000000000zz'],
          ...{ clis, canary },
        },
      });
    default:
      throw new Error(`the page called ${call}`);
  }
}

const vmTable = () => page.getByRole('table', { name: 'Virtual machines' });
const cliTable = () => page.getByRole('table', { name: 'Coding CLIs' });

const open = (): Promise<unknown> => page.goto(`${dashboardOrigin}/dashboard/admin`);

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  vms = inEachState();
  canary = lastTrial();
  role = 'admin';
  page = await openDashboard(browser, answer);
});
afterEach(() => page.context().close());

describe('the page of the administrator', () => {
  it('shows a VM in each state: its error with what to do, its end, and no id of a user', async () => {
    await open();
    await vmTable().waitFor();
    expect(await vmTable().getByRole('row').count()).toBe(vms.length + 1);
    const failed = page.getByRole('row').filter({ hasText: 'vm_00000000000000fa' });
    await failed.getByText(disk.message).waitFor();
    await failed.getByText(disk.hint).waitFor();
    await page.getByText(/^stops .+ if idle$/).waitFor();
    expect(await vmTable().innerText()).not.toContain('usr_');
    await screenshots(page, 'admin');
  });

  it('stops a CLI VM of anybody, after asking where something runs in it', async () => {
    vms = vms.map((vm) => (vm.id.endsWith('rb') ? { ...vm, uses: 1 } : vm));
    await open();
    await page.getByRole('table').first().waitFor();
    const offered = await page
      .getByTestId(/^(stop|start|restart)-vm_/)
      .evaluateAll((all) => all.map((one) => one.dataset['testid']));
    expect(offered).toEqual([
      ...['stop-vm_00000000000000rb', 'restart-vm_00000000000000rb'],
      ...['start-vm_00000000000000sd', 'start-vm_00000000000000se'],
    ]);
    await page.getByRole('button', { name: 'Stop vm_00000000000000rb' }).click();
    await page.getByText('A prompt or a check runs in it and ends').waitFor();
    await screenshots(page, 'admin-stop');
    await page.getByTestId('power-confirm').click();
    await page.getByTestId('start-vm_00000000000000rb').waitFor();
  });

  it('shows which VMs are behind, how far updates are and why one failed, and updates all that are behind', async () => {
    const refused = { code: 'proof_failed', message: 'Codex is not signed in.', hint: 'Connect it again.' } as const;
    const changes: Record<string, Partial<Vm>> = {
      rb: { behind, update: updateOf('copied'), uses: 1 },
      se: { behind, update: updateOf('failed', refused), error: null },
    };
    vms = vms.map((vm) => ({ ...vm, ...changes[vm.id.slice(-2)] }));
    await open();
    const row = (name: string) =>
      vmTable()
        .getByRole('row')
        .filter({ hasText: `vm_00000000000000${name}` });
    const available = row('sd').getByText('Update available', { exact: true });
    const told = 'Update available: Codex 0.169.0 → 0.171.0, Claude Code 2.1.197 → 2.1.332, kernel 6.12.48 → 6.12.57';
    expect(await available.getAttribute('title')).toBe(told);
    await row('rb').getByText('Update: waits until nobody uses the VM').waitFor();
    await row('se').getByText('The update failed. The old system is in use as before.').waitFor();
    await row('se').getByText(refused.hint).waitFor();
    await page.getByText('1 VM is being updated.').waitFor();
    await screenshots(page, 'admin-update');
    await page.getByRole('button', { name: 'Update all (2)' }).click();
    for (const name of ['sd', 'se']) await row(name).getByText('Update: waits for its turn').waitFor();
    await page.getByText('3 VMs are being updated, one after the other.').waitFor();
    expect(await page.getByTestId('update-all').count()).toBe(0);
  });

  it('shows of each CLI the version in the image, the newest, whether that signed in, and when', async () => {
    await open();
    const row = (name: string) => cliTable().getByRole('row').filter({ hasText: name });
    await row('Claude Code').getByText(keptBack).waitFor();
    await row('Claude Code').getByText('Not handed over: .claude.json: oauthAccount.newMember').waitFor();
    const claude = await row('Claude Code').getByRole('cell').allInnerTexts();
    expect(claude).toEqual([
      'Claude Code',
      '2.1.197',
      expect.stringMatching(/^2\.1\.332\s/) as string,
      expect.stringMatching(/^2\.1\.197, .+\d/) as string,
      'yes\nNot handed over: .claude.json: oauthAccount.newMember',
    ]);
    await row('Codex').getByText('at "opens"').waitFor();
    await row('Gemini CLI').getByText('not tried').waitFor();
    await screenshots(page, 'admin-clis');
  });

  it('tells when the newest CLIs were never tried, and when they could not be', async () => {
    canary = null;
    await open();
    await page.getByText('Nobody has tried the newest ones yet.').waitFor();
    expect(await cliTable().getByRole('row').filter({ hasText: 'Codex' }).innerText()).toContain('0.169.0');
    canary = { at: ago(5), problem: 'No image could be built.', clis: [] };
    await open();
    await page.getByText('No image could be built.').waitFor();
  });

  it('fits a phone, with all of a VM in sight', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await open();
    await vmTable().waitFor();
    for (const table of [vmTable(), cliTable()]) {
      const overflow = await table.evaluate((one) => {
        const around = one.parentElement ?? one;
        return [around.scrollWidth - around.clientWidth, document.documentElement.scrollWidth];
      });
      expect(overflow).toEqual([0, 390]);
    }
  });

  it('tells when there is no VM', async () => {
    vms = [];
    await open();
    await page.getByText('There are none').waitFor();
    expect(await vmTable().count()).toBe(0);
    await screenshots(page, 'admin-none');
  });

  it('tells others that it is not for them', async () => {
    role = 'user';
    await open();
    await page.getByText('for administrators only').waitFor();
    expect(await page.getByText('Virtual machines').count()).toBe(0);
    await screenshots(page, 'admin-user');
  });
});
