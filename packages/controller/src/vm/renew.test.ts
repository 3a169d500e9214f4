/** What a controller that starts tells CLI VMs that run already of its settings. Real rows; an engine without VMs. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { eq } from 'drizzle-orm';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { addUser, silentLog } from '../store/testing.js';
import { vms } from './table.js';
import type { VmRow } from './vm.js';
import { useVms } from './testing.js';

const never = new AbortController().signal;
const host = useVms();
const ben = newId('usr');

const cliOf = (userId: string): Promise<VmRow> => host.vms.ensureCli(userId, null, () => undefined, never);
const told = (): string[] => host.engine.configured.map(({ vmId }) => vmId);
const forever = new Promise<boolean>(() => undefined);
const warned = vi.spyOn(silentLog, 'warn');

beforeEach(() => addUser(host.database.store.db, ben, 'ben', 10_002));
afterEach(() => warned.mockClear());
afterAll(() => warned.mockRestore());

/** A controller that starts, with these settings. */
async function begin(more: Record<string, string> = {}): Promise<void> {
  await host.restart(more);
  await host.vms.reconcile();
}

/** The warnings, as code and reason. */
const warnings = (): { vmId: string; code: string; reason: string }[] =>
  warned.mock.calls.map(([what]) => what as never);

test('one that is adopted takes them all; one that this controller started, and a browser VM, are told nothing', async () => {
  const ca = join(host.database.home, 'ca.pem');
  const pem = new X509Certificate(rootCertificates[0] ?? '').toString();
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(ca, `${privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()}${pem}`);
  const [vm, { id: browser }] = [
    await cliOf(host.userId),
    await host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null }),
  ];
  await host.vms.waitReady(browser, () => undefined, never);
  await begin({
    ...{ AIRLOCK_TIMEZONE: 'Asia/Tokyo', AIRLOCK_EXTRA_CA: ca, AIRLOCK_DIRECT_HOSTS: '.example' },
    AIRLOCK_UPSTREAM_PROXY: 'http://u:p@h:{port}',
    AIRLOCK_ALLOWED_PRIVATE_HOSTS: 'sso.corp, .acme.example',
  });
  await cliOf(ben);
  await cliOf(host.userId);
  const upstream = { url: 'http://u:p@h:10001', trialHosts: expect.any(Array) as string[] };
  const settings = { timezone: 'Asia/Tokyo', extraCaPem: pem, upstream, directHosts: ['.example'] };
  const allowedPrivateHosts = ['sso.corp', '.acme.example'];
  expect(host.engine.configured).toEqual([{ vmId: vm.id, settings: { ...settings, allowedPrivateHosts } }]);
  expect(warnings()).toEqual([]);
});

test('a runner of an earlier version is told of no hosts on private networks, where there are none', async () => {
  await cliOf(host.userId);
  await begin({ AIRLOCK_TIMEZONE: 'Asia/Tokyo' });
  await cliOf(host.userId);
  expect(host.engine.configured.map(({ settings }) => Object.keys(settings).toSorted())).toEqual([
    ['directHosts', 'extraCaPem', 'timezone', 'upstream'],
  ]);
});

test('a use waits until the VM has taken them', async () => {
  const { id } = await cliOf(host.userId);
  let take = (): void => undefined;
  const taken = new Promise<boolean>((resolve) => (take = () => resolve(true)));
  host.engine.configureGate = () => taken;
  await begin();
  let used = false;
  const use = cliOf(host.userId).finally(() => (used = true));
  await expect.poll(told).toEqual([id]);
  await cliOf(ben);
  expect(used).toBe(false);
  take();
  expect(await use).toMatchObject({ id, state: 'running' });
});

test('one that is still booting takes them once it is ready, and its first use waits for that', async () => {
  const { id } = await cliOf(host.userId);
  await host.vms.close();
  await host.database.store.db.update(vms).set({ state: 'starting' }).where(eq(vms.id, id));
  let [ready, take] = [(): void => undefined, (): void => undefined];
  const isReady = new Promise<void>((resolve) => (ready = resolve));
  const { nextStatus } = host.engine;
  host.engine.nextStatus = async (...call) => isReady.then(() => nextStatus(...call));
  const states: (string | undefined)[] = [];
  const taken = new Promise<boolean>((resolve) => (take = () => resolve(true)));
  host.engine.configureGate = async (vmId) => {
    states.push((await host.vms.get(vmId))?.state);
    return taken;
  };
  await begin();
  let used = false;
  const use = cliOf(host.userId).finally(() => (used = true));
  ready();
  await expect.poll(() => states).toEqual(['running']);
  expect(used).toBe(false);
  take();
  expect(await use).toMatchObject({ id, state: 'running' });
  expect(told()).toEqual([id]);
});

test.each([
  ['a runner of another version', new AppError('runner_failed', 'The runner comes from another version.')],
  ['an agent that does not answer', new AppError('guest_unreachable', 'It did not answer.')],
])('%s is told in the log; the VM goes on, and the others take them', async (_what, failure) => {
  const [one, other] = [await cliOf(host.userId), await cliOf(ben)];
  host.engine.configureGate = (vmId) => (vmId === one.id ? Promise.reject(failure) : Promise.resolve(true));
  await begin();
  await expect.poll(warnings).toMatchObject([{ vmId: one.id, code: failure.code, reason: failure.message }]);
  for (const [id, userId] of [
    [one.id, host.userId],
    [other.id, ben],
  ] as const)
    expect(await cliOf(userId)).toMatchObject({ id, state: 'running' });
  expect(told().toSorted()).toEqual([one.id, other.id].toSorted());
});

test('a file of authorities that cannot be read is told in the log, and keeps no controller from starting', async () => {
  const { id } = await cliOf(host.userId);
  await begin({ AIRLOCK_EXTRA_CA: '/nowhere/ca.pem' });
  await expect.poll(warnings).toMatchObject([{ vmId: id, code: 'config_invalid' }]);
  expect(told()).toEqual([]);
});

test('a runner that does not answer holds up nobody else, and neither the end of its own VM nor of the controller', async () => {
  const [one, other] = [await cliOf(host.userId), await cliOf(ben)];
  host.engine.configureGate = (vmId) => (vmId === one.id ? forever : Promise.resolve(true));
  await begin();
  await expect.poll(told).toContain(one.id);
  expect(await cliOf(ben)).toMatchObject({ id: other.id });
  await host.vms.destroy(one.id);
  expect(await host.vms.get(one.id)).toMatchObject({ state: 'destroyed' });
  host.engine.configureGate = () => forever;
  await begin();
  await expect.poll(() => told().length).toBe(3);
  await host.vms.close();
  expect(await host.vms.get(other.id)).toMatchObject({ state: 'running' });
});
