/** Changing the vault key in the running controller, killed half way, twice: nothing is lost and the old key goes in the end. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { VaultStatus } from '@airlock/contract/api';
import type { CredentialBundle } from '@airlock/contract/guest';
import { newId } from '@airlock/contract/ids';
import { readSettings } from '@airlock/contract/settings';
import { openStore } from '@airlock/controller/store/open';
import { users } from '@airlock/controller/user/table';
import { credentials, custody, homeKeys } from '@airlock/controller/vault/table';
import { vms } from '@airlock/controller/vm/table';
import { createVault } from '@airlock/controller/vault/create';
import { loadVaultKeys } from '@airlock/controller/vault/key';
import { createKeyRing } from '@airlock/controller/vault/ring';
import { bundleOf } from '@airlock/controller/vault/testing';
import { apiClient } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

const people = 150;
const log = pino({ level: 'silent' });
let home: string;
let before: Snapshot;
let controller: RunningController | undefined;

const keyLines = async (): Promise<string[]> => (await readFile(homePaths(home).vaultKey, 'utf8')).trim().split('\n');

async function onStore<T>(work: (parts: Awaited<ReturnType<typeof openParts>>) => Promise<T>): Promise<T> {
  const parts = await openParts();
  try {
    return await work(parts);
  } finally {
    await parts.store.close();
  }
}

async function openParts() {
  const store = await openStore(readSettings({ AIRLOCK_HOME: home }), log);
  const ring = createKeyRing(await loadVaultKeys(home), async () => undefined);
  return { store, ring, vault: createVault({ store, ring, users: { list: async () => [] }, log }) };
}

const loginOfPerson = (name: string): CredentialBundle => bundleOf(`refresh-token-of-${name}`);

/** People with a Codex login and a CLI VM each, none of which runs. */
async function fill(): Promise<void> {
  await onStore(async ({ store: { db }, ring }) => {
    const all = Array.from({ length: people }, (_, i) => ({
      id: newId('usr'),
      name: `p${i}`,
      vmId: newId('vm'),
      port: 20_000 + i,
    }));
    const userIds = all.map(({ id, name, port }) => ({ id, name, role: 'user' as const, proxyPort: port }));
    await db.insert(users).values(userIds);
    await db
      .insert(custody)
      .values(all.map(({ id }) => ({ userId: id, provider: 'codex' as const, lastGeneration: 1 })));
    await ring.sealing(async (seal) => {
      for (const { id, name, vmId } of all) {
        const sealed = await seal(`credential/${id}/codex/1`, JSON.stringify(loginOfPerson(name)));
        const row = { userId: id, provider: 'codex' as const, generation: 1, lineage: 1, state: 'active' as const };
        await db.insert(credentials).values({ ...row, sealed });
        await db.insert(homeKeys).values({ vmId, sealed: await seal(`home/${vmId}`, name) });
        const vm = { id: vmId, userId: id, kind: 'cli' as const, state: 'stopped' as const, imageId: 'img_000000' };
        const timings = { vncMs: null, agentMs: null, readyMs: null };
        await db.insert(vms).values({ ...vm, accel: 'tcg', timings });
      }
    });
  });
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-r-'));
  before = await takeSnapshot({ home, names: new RegExp(basename(home)) });
  const first = await startController({ home });
  await first.stop();
  await fill();
}, 240_000);

afterAll(async () => {
  await controller?.kill9();
  await untilNoLeaks(before, 20_000).finally(() => rm(home, { recursive: true, force: true }));
}, 60_000);

/** Waits until the running controller has sealed so many rows again since it started. */
const sealedAgain = (at: RunningController, rows: number): Promise<unknown> =>
  until(`${rows} rows to be sealed again`, () => at.log().includes(`"done":${rows},`), {
    timeoutMs: 60_000,
    intervalMs: 1,
    explain: () => at.log().slice(-2000),
  });

it('goes on after kill -9 at any row, keeps both keys until the end, and loses nothing', async () => {
  const [old] = await keyLines();
  controller = await startController({ home });
  const api = apiClient(controller.url, controller.token);
  const asked = api.call('POST', '/api/vault/rotate', VaultStatus, { timeoutMs: 60_000 });
  asked.catch(() => undefined);
  await sealedAgain(controller, 40);
  await controller.kill9();
  await expect(asked).rejects.toMatchObject({ code: 'internal' });
  await api.close();
  const [begun, ...kept] = await keyLines();
  expect(kept).toEqual([old]);
  expect(begun).not.toBe(old);
  expect((await stat(homePaths(home).vaultKey)).mode & 0o777).toBe(0o600);

  // It goes on by itself, and is killed once more.
  controller = await startController({ home });
  await sealedAgain(controller, 60);
  await controller.kill9();
  expect(await keyLines()).toEqual([begun, old]);
  const half = await onStore(({ vault }) => vault.status());
  expect(half.underOldKeys).toBeGreaterThan(0);
  expect(half.underOldKeys).toBeLessThan(2 * people);

  controller = await startController({ home });
  await until('the rotation to end', async () => (await keyLines()).length === 1, { timeoutMs: 60_000 });
  expect(await keyLines()).toEqual([begun]);
  await controller.stop();
  controller = undefined;

  await onStore(async ({ store, vault }) => {
    expect(await vault.status()).toMatchObject({ oldKeyIds: [], sealed: 2 * people, underOldKeys: 0, lost: 0 });
    const names = new Map((await store.db.select().from(users)).map(({ id, name }) => [id, name]));
    for (const row of await vault.list(null)) {
      expect(await vault.read(row)).toEqual(loginOfPerson(names.get(row.userId) ?? ''));
    }
    for (const vm of await store.db.select().from(vms)) {
      expect(await vault.openHomeKey(vm.id)).toBe(names.get(vm.userId ?? ''));
    }
  });
}, 240_000);
