/**
 * Another root under the home of a real CLI VM, with a real login in it: the new one is proved before the old one goes, the old one
 * comes back when it is no good, and nothing of the home is another one then, whoever was killed on the way.
 *
 * Each kind of failure: TEST_UPDATE=all, as `npm run soak -- --only update` sets it. `npm test` has a root that does not boot, and a
 * controller and a VMM that are killed.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyResponse, CredentialList, Vm, VmList, type CredentialSummary } from '@airlock/contract/api';
import { homePaths } from '@airlock/contract/home';
import type { StreamingClient } from '@airlock/contract/http-client';
import { isRunning, killExactly } from '@airlock/contract/process';
import { rootOfFile, RunnerStatus, type ProcessIdentity } from '@airlock/contract/runner';
import { withHelper } from '@airlock/image-builder/gate/helper';
import { apiClient, endController } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { measureTree, treeOf, type Measured } from '../support/home-tree.js';
import { addImage, makeCurrent } from '../support/image-variant.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

const minutes = (n: number): number => n * 60_000;
const everything = process.env['TEST_UPDATE'] === 'all';
const apiKey = `sk-test${randomBytes(12).toString('hex')}`;
const images = { first: 'img_first0', second: 'img_second', third: 'img_third0', broken: 'img_broken' } as const;

let before: Snapshot;
let home: TestHome;
let internet: FakeInternet;
let controller: RunningController;
let api: StreamingClient;
let vmId: string;
/** As the home was measured at the newest boot. */
let tree: Measured;
const endings: (() => Promise<unknown>)[] = [];

async function start(): Promise<void> {
  const env = {
    AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
    AIRLOCK_PROXY_PORT_BASE: String(internet.port),
    AIRLOCK_EXTRA_CA: join(home.path, 'test-ca.pem'),
    AIRLOCK_CLI_UPDATE: 'manual',
  };
  controller = await startController({ home: home.path, env });
  api = apiClient(controller.url, controller.token);
}

beforeAll(async () => {
  home = await createTestHome();
  endings.push(home.remove);
  before = await takeSnapshot({ home: home.path });
  const good = (golden: Buffer): Buffer => withHelper(golden, measureTree);
  await addImage(home, { id: images.first, initrd: good });
  await addImage(home, { id: images.second, initrd: good, versions: { node: '20.99.0' } });
  await addImage(home, { id: images.third, initrd: good });
  await addImage(home, { id: images.broken, initrd: (golden) => withHelper(golden, 'fail "this image is broken"\n') });
  await makeCurrent(home, images.first);
  internet = await createFakeInternet({ codex: { apiKey } });
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

const vm = (): Promise<Vm> => api.call('GET', `/api/vm/${vmId}`, Vm);
const credential = async (): Promise<CredentialSummary | undefined> =>
  (await api.call('GET', '/api/credentials', CredentialList)).credentials.find(({ provider }) => provider === 'codex');
async function becomes(what: string, is: (now: Vm) => boolean): Promise<Vm> {
  const found = async (): Promise<Vm | false> => {
    const now = await vm();
    return is(now) && now;
  };
  const explain = async (): Promise<string> => `${JSON.stringify(await vm())}\n${controller.log().slice(-3000)}`;
  return until(what, found, { timeoutMs: minutes(6), intervalMs: 100, explain });
}
const ask = (verb: 'update' | 'reset', body: object = {}): Promise<Vm> =>
  api.call('POST', `/api/vm/${vmId}/${verb}`, Vm, { body });
const isOver = ({ update }: Vm): boolean => update === null || update.state === 'failed';

async function roots(): Promise<(string | undefined)[]> {
  const names = await readdir(homePaths(home.path).vm(vmId));
  return names.filter((name) => name.startsWith('root.')).map((name) => rootOfFile(name)?.imageId);
}

/** The VMM of the start under way, once there is one. */
async function runningVmm(): Promise<ProcessIdentity> {
  const running = async (): Promise<ProcessIdentity | false> => {
    const text = await readFile(homePaths(home.path).vmFile(vmId, 'status'), 'utf8').catch(() => null);
    const vmm = text === null ? null : RunnerStatus.parse(JSON.parse(text)).vmm;
    return vmm !== null && (await isRunning(vmm)) && vmm;
  };
  return until(`the VMM of ${vmId}`, running, { timeoutMs: 30_000, intervalMs: 50 });
}

/** Nothing of the home is another one since the boot before. */
async function expectSameHome(): Promise<void> {
  const now = await treeOf(home.path, vmId, tree);
  expect(now.sum).toBe(tree.sum);
  tree = now;
}

/** The root of `imageId`, the only one; the login still the one that was proved. */
async function expectRoot(imageId: string, changed: object = {}): Promise<void> {
  expect(await vm()).toMatchObject({ state: 'running', imageId, error: null, ...changed });
  await until('the other root to be gone', async () => (await roots()).length === 1, { timeoutMs: 20_000 });
  expect(await roots()).toEqual([imageId]);
  expect(await credential()).toMatchObject({ state: 'active', generation: 1 });
  await expectSameHome();
}

describe('a CLI VM', () => {
  it(
    'has a login, and files of all kinds in its home',
    async () => {
      await api.call('PUT', '/api/credentials/codex/api-key', ApiKeyResponse, { body: { key: apiKey } });
      const accepted = async (): Promise<boolean> => (await credential())?.state === 'active';
      await until('the login to be accepted', accepted, { timeoutMs: minutes(9), intervalMs: 250 });
      const { vms } = await api.call('GET', '/api/vm', VmList);
      vmId = vms.find(({ kind }) => kind === 'cli')?.id ?? '';
      tree = await treeOf(home.path, vmId);
      expect(await vm()).toMatchObject({ imageId: images.first, update: null, behind: null });
    },
    minutes(10),
  );

  it(
    'keeps its root when that of a newer image does not boot, and tells why',
    async () => {
      await makeCurrent(home, images.broken);
      expect(await ask('update')).toMatchObject({ state: 'running', behind: { imageId: images.broken } });
      const { update } = await becomes('the update to end', isOver);
      expect(update).toMatchObject({ kind: 'update', imageId: images.broken, error: { code: 'vm_boot_failed' } });
      await becomes('the old root to run', ({ state }) => state === 'running');
      await expectRoot(images.first);
    },
    minutes(8),
  );

  it(
    'gets the root of a newer image although controller and VMM are killed on the way',
    async () => {
      await makeCurrent(home, images.second);
      const { behind } = await ask('update');
      expect(behind?.changes).toEqual([{ name: 'Node', from: expect.any(String) as string, to: '20.99.0' }]);
      await becomes('the new root to start', (now) => now.update?.state === 'proving' && now.state === 'starting');
      const vmm = await runningVmm();
      await controller.kill9();
      await killExactly(vmm);
      await api.close();
      await start();
      await becomes('the update to end', isOver);
      await expectRoot(images.second, { update: null, behind: null });
    },
    minutes(8),
  );

  if (everything) failsInEachWay();

  it(
    'has its home in a VM that is made of a backup of it, too',
    async () => {
      const passphrase = randomBytes(12).toString('hex');
      await api.call('POST', `/api/vm/${vmId}/stop`, Vm, { timeoutMs: minutes(2) });
      const backup: Buffer[] = [Buffer.from(`${JSON.stringify({ passphrase, replace: true })}\n`)];
      for await (const piece of await api.bytes('POST', `/api/vm/${vmId}/backup`, { body: { passphrase } })) {
        backup.push(piece);
      }
      const upload = Readable.from(backup, { objectMode: false });
      const restored = await api.call('POST', '/api/vm/restore', Vm, { upload, timeoutMs: minutes(2) });
      expect([(await vm()).state, restored]).toMatchObject(['destroyed', { state: 'stopped', imageId: images.second }]);
      vmId = restored.id;
      await api.call('POST', `/api/vm/${vmId}/start`, Vm);
      await becomes('the restored VM to run', ({ state }) => state === 'running');
      const delivered = async (): Promise<boolean> => (await credential())?.holderVmId === vmId;
      await until('the login to be delivered', delivered, { timeoutMs: minutes(1), intervalMs: 100 });
      await expectRoot(images.second);
    },
    minutes(8),
  );

  it(
    'leaves nothing behind',
    async () => {
      await close();
      await untilNoLeaks(before, 20_000);
    },
    minutes(2),
  );
});

function failsInEachWay(): void {
  it(
    'keeps its root when the newer image is gone before it starts from it',
    async () => {
      await makeCurrent(home, images.third);
      await ask('update');
      await becomes('the new root to be made', (now) => now.update?.state === 'copying');
      await makeCurrent(home, images.second);
      await rm(homePaths(home.path).images.image(images.third), { recursive: true });
      const { update } = await becomes('the update to end', isOver);
      expect(update).toMatchObject({ imageId: images.third, error: { code: 'image_missing' } });
      await becomes('the old root to run', ({ state }) => state === 'running');
      await expectRoot(images.second);
    },
    minutes(8),
  );

  it(
    'is reset under its home, and goes back to its root when the VMM is killed again and again',
    async () => {
      await ask('reset');
      await becomes('the new root to be tried', (now) => now.update?.state === 'proving');
      for (const _start of ['first', 'second']) await killExactly(await runningVmm());
      const { update } = await becomes('the reset to end', isOver);
      expect(update).toMatchObject({ kind: 'reset', state: 'failed' });
      await becomes('the old root to run', ({ state }) => state === 'running');
      await expectRoot(images.second);
      await ask('reset');
      await becomes('the reset to end', isOver);
      await expectRoot(images.second, { update: null });
    },
    minutes(12),
  );
}
