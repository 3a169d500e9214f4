/** The page of the administrator in a real browser, with every answer of the controller given by the test. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SystemStatus, UserList, Vm, VmList } from '@airlock/contract/api';
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
let role: 'admin' | 'user';

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

function vmOf(name: string, state: Vm['state'], values: Partial<Vm> = {}): Vm {
  return {
    ...{ id: `vm_${name.padStart(16, '0')}`, userId: adaId, kind: 'browser', state, sessionId: null, imageId },
    ...{ accel: 'kvm', createdAt: ago(90), readyAt: null, destroyAt: null, stopAt: null, uses: 0, error: null },
    timings: { vncMs: null, agentMs: null, readyMs: null },
    ...values,
  };
}

const ready = { vncMs: 900, agentMs: 4000, readyMs: 8400 };

/** One in each state, as the controller leaves its rows. */
const inEachState = (): Vm[] => [
  vmOf('cr', 'creating', { createdAt: ago(0), destroyAt: ago(-30) }),
  vmOf('st', 'starting', { createdAt: ago(1), destroyAt: ago(-30) }),
  vmOf('ra', 'running', { createdAt: ago(2), readyAt: ago(1), timings: ready, destroyAt: ago(-28) }),
  vmOf('rb', 'running', { kind: 'cli', createdAt: ago(3), readyAt: ago(1), timings: ready, stopAt: ago(-14) }),
  vmOf('sp', 'stopping', { kind: 'cli', createdAt: ago(4000), readyAt: ago(20), timings: ready }),
  vmOf('sd', 'stopped', { kind: 'cli', createdAt: ago(5000), readyAt: ago(50), timings: ready }),
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
      return UserList.parse({ users: [ada] });
    case 'GET /api/vm':
      return VmList.parse({ vms });
    case 'POST /api/vm/vm_00000000000000rb/stop':
      vms = vms.map((vm) => (vm.id.endsWith('rb') ? { ...vm, state: 'stopped', stopAt: null, uses: 0 } : vm));
      return Vm.parse(vms.find((vm) => vm.id.endsWith('rb')));
    case 'GET /api/system':
      return SystemStatus.parse({
        ...{ version: '0.1.0', startedAt: ago(3000), accel: 'tcg', accelReason: '/dev/kvm does not exist.', imageId },
        ...{
          database: 'pglite',
          vms: { running: vms.filter((vm) => vm.state === 'running').length, total: vms.length },
          lostVmFolders: ['vm_00000000000000zz'],
        },
      });
    default:
      throw new Error(`the page called ${call}`);
  }
}

const open = (): Promise<unknown> => page.goto(`${dashboardOrigin}/dashboard/admin`);

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  vms = inEachState();
  role = 'admin';
  page = await openDashboard(browser, answer);
});
afterEach(() => page.context().close());

describe('the page of the administrator', () => {
  it('shows a VM in each state: its error with what to do, its end, and no id of a user', async () => {
    await open();
    await page.getByRole('table').waitFor();
    expect(await page.getByRole('row').count()).toBe(vms.length + 1);
    const failed = page.getByRole('row').filter({ hasText: 'vm_00000000000000fa' });
    await failed.getByText(disk.message).waitFor();
    await failed.getByText(disk.hint).waitFor();
    await page.getByText(/^stops .+ if idle$/).waitFor();
    expect(await page.getByRole('table').innerText()).not.toContain('usr_');
    await screenshots(page, 'admin');
  });

  it('stops a CLI VM of anybody, after asking where something runs in it', async () => {
    vms = vms.map((vm) => (vm.id.endsWith('rb') ? { ...vm, uses: 1 } : vm));
    await open();
    await page.getByRole('table').waitFor();
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

  it('fits a phone, with all of a VM in sight', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await open();
    await page.getByRole('table').waitFor();
    const overflow = await page.getByRole('table').evaluate((table) => {
      const around = table.parentElement ?? table;
      return [around.scrollWidth - around.clientWidth, document.documentElement.scrollWidth];
    });
    expect(overflow).toEqual([0, 390]);
  });

  it('tells when there is no VM', async () => {
    vms = [];
    await open();
    await page.getByText('There are none').waitFor();
    expect(await page.getByRole('table').count()).toBe(0);
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
