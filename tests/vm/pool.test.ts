/**
 * The warm pool with real VMs: one is ready before anybody comes, and stands still; a sign-in gets it at once and goes on in it; another
 * one takes its place; the next controller finds it, and gives up what its settings do not fit.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { StartSessionResponse, VmList, type Vm } from '@airlock/contract/api';
import { homePaths } from '@airlock/contract/home';
import type { StreamingClient } from '@airlock/contract/http-client';
import { readVmSpec, RunnerStatus } from '@airlock/contract/runner';
import { Session, type SessionStatus } from '@airlock/contract/session';
import { apiClient, endController } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

const minutes = (n: number): number => n * 60_000;
const bootMs = minutes(4);

let before: Snapshot;
let home: TestHome;
let internet: FakeInternet;
let controller: RunningController;
let api: StreamingClient;
const endings: (() => Promise<unknown>)[] = [];

async function start(env: Record<string, string> = {}): Promise<void> {
  const settings = {
    AIRLOCK_POOL: '1',
    AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
    AIRLOCK_PROXY_PORT_BASE: String(internet.port),
    AIRLOCK_EXTRA_CA: join(home.path, 'test-ca.pem'),
  };
  controller = await startController({ home: home.path, env: { ...settings, ...env } });
  api = apiClient(controller.url, controller.token);
}

beforeAll(async () => {
  home = await createTestHome();
  endings.push(home.remove);
  before = await takeSnapshot({ home: home.path });
  internet = await createFakeInternet({ ports: [0, 0] });
  endings.push(internet.close);
  await writeFile(join(home.path, 'test-ca.pem'), internet.caPem);
  await start();
  endings.push(async () => endController(controller));
  endings.push(async () => api.close());
}, minutes(3));
afterAll(() => close(), minutes(3));

async function close(): Promise<void> {
  for (const end of endings.splice(0).toReversed()) await end();
}

const vms = async (): Promise<Vm[]> => (await api.call('GET', '/api/vm', VmList)).vms;
const stateOf = async (id: string): Promise<string | undefined> => (await vms()).find((vm) => vm.id === id)?.state;
const untilWaiting = (): Promise<Vm> =>
  until('a VM to wait', async () => (await vms()).find(({ state }) => state === 'waiting'), {
    timeoutMs: bootMs,
    explain: () => controller.log().slice(-4000),
  });

/** The session once it is in this status, and how long that took. */
async function untilStatus(
  id: string,
  wanted: SessionStatus,
  timeoutMs: number,
): Promise<{ session: Session; ms: number }> {
  const since = performance.now();
  const session = await until(
    `the session to be ${wanted}`,
    async () => {
      const found = await api.call('GET', `/api/vm/auth/${id}`, Session);
      if (found.error) throw new Error(JSON.stringify(found.error));
      return found.status === wanted ? found : undefined;
    },
    { timeoutMs, intervalMs: 50, explain: () => controller.log().slice(-4000) },
  );
  return { session, ms: Math.round(performance.now() - since) };
}

/** Of the session of a VM's runner, beside others; null where the kernel shares the processor otherwise. */
async function weightOf(vmId: string): Promise<string | null> {
  const status = RunnerStatus.parse(JSON.parse(await readFile(homePaths(home.path).vmFile(vmId, 'status'), 'utf8')));
  const text = await readFile(`/proc/${status.runner.pid}/autogroup`, 'utf8').catch(() => null);
  return text === null ? null : (/nice (-?\d+)/.exec(text)?.[1] ?? '');
}
const hasWeights = await readFile('/proc/self/autogroup').then(
  () => true,
  () => false,
);
const [lowered, usual] = hasWeights ? ['10', '0'] : [null, null];

it(
  'has a VM that waits, reaches nothing, and is nobody’s',
  async () => {
    const vm = await untilWaiting();
    expect(vm).toMatchObject({ userId: null, sessionId: null, kind: 'browser', destroyAt: null, error: null });
    expect(internet.requests).toEqual([]);
    expect(await weightOf(vm.id)).toBe(lowered);
    expect(readVmSpec(await readFile(homePaths(home.path).vmFile(vm.id, 'spec'), 'utf8')).waits).toBe(true);
  },
  bootMs,
);

let signedIn: string;

it(
  'gives it to the first who signs in, whose page opens in it',
  async () => {
    const { id: vmId } = await untilWaiting();
    const { sessionId } = await api.call('POST', '/api/vm/auth', StartSessionResponse, { body: { provider: 'codex' } });
    signedIn = sessionId;
    const desktop = await untilStatus(sessionId, 'ready', minutes(1));
    const page = await untilStatus(sessionId, 'awaiting_user_auth', minutes(3));
    expect(page.session).toMatchObject({ browserVmId: vmId, desktopReady: true, error: null });
    process.stdout.write(`warm: desktop after ${desktop.ms} ms, page after ${page.ms} ms more\n`);
    const row = (await vms()).find(({ id }) => id === vmId);
    expect(row).toMatchObject({ state: 'running', sessionId, error: null });
    expect(row?.userId).not.toBeNull();
    expect(await weightOf(vmId)).toBe(usual);
    await until('the provider to be asked through the user’s own port', () => internet.requests.length > 0, {
      timeoutMs: minutes(2),
    });
    expect([...new Set(internet.requests.map(({ port }) => port))]).toEqual([internet.port]);
  },
  minutes(7),
);

it(
  'makes another one, which the next controller finds',
  async () => {
    const { id } = await untilWaiting();
    await api.close();
    await controller.kill9();
    await start();
    expect(await stateOf(id)).toBe('waiting');
    await api.call('POST', `/api/vm/auth/${signedIn}/cancel`, Session, { timeoutMs: minutes(1) });
  },
  bootMs,
);

it(
  'gives up one that other settings do not fit',
  async () => {
    const { id } = await untilWaiting();
    await api.close();
    await controller.stop();
    await start({ AIRLOCK_TIMEZONE: 'Asia/Tokyo' });
    await until('it to be gone', async () => (await stateOf(id)) === 'destroyed', { timeoutMs: minutes(1) });
  },
  minutes(3),
);

it(
  'leaves nothing',
  async () => {
    await close();
    await untilNoLeaks(before, 20_000);
  },
  minutes(3),
);
