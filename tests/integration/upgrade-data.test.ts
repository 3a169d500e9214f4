/** What each landed version has stored is there after this version has opened it: rows, secrets, backups, images, VM folders. */
import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { ImageManifest } from '@airlock/contract/image';
import { RunnerStatus } from '@airlock/contract/runner';
import { openTestEngine } from '@airlock/controller/engine/testing';
import { findPostgres, listUsers } from '@airlock/controller/store/testing';
import { requireUnderstood } from '@airlock/controller/vm/age';
import { judgeBundle } from '@airlock/controller/vault/bundle';
import { createVault } from '@airlock/controller/vault/create';
import { loadVaultKeys, newVaultKey } from '@airlock/controller/vault/key';
import { createKeyRing, type KeyRing } from '@airlock/controller/vault/ring';
import type { Vault } from '@airlock/controller/vault/vault';
import { prune } from '@airlock/image-builder/prune';
import {
  allRows,
  landedVersions,
  openLandedEmbedded,
  openLandedPostgres,
  writeLandedVm,
  type LandedDatabase,
  type LandedSecrets,
  type Rows,
} from '../support/landed.js';

const log = pino({ level: 'silent' });
const postgres = await findPostgres();
const databases = [
  { name: 'embedded PGlite', open: openLandedEmbedded, skip: '' },
  {
    name: 'PostgreSQL',
    open: (version: Parameters<typeof openLandedEmbedded>[0]) => openLandedPostgres(version, postgres ?? ''),
    skip: postgres === undefined ? 'skipped: no PostgreSQL server in /usr/lib/postgresql (Debian: postgresql)' : '',
  },
];
const versions = await landedVersions();

const openVault = ({ store }: LandedDatabase, ring: KeyRing): Vault =>
  createVault({ store, ring, log, users: { list: () => listUsers(store.db) } });
const queries = ({ store }: LandedDatabase) => ({ query: (text: string) => store.db.execute(text) });

const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

/** A cookie of then has no page secret, without which it is nothing: whoever has one signs in again. */
const isKept = (table: string, row: Record<string, unknown>): boolean => table !== 'tokens' || row['kind'] !== 'cookie';

/** A row as this version has it: a VM that was being removed says so by its state. */
const asNow = (table: string, row: Rows[string][number]): Rows[string][number] =>
  table === 'vms' && row['state'] === 'stopping' && (row['destroy_at'] !== null || row['kind'] === 'browser')
    ? { ...row, state: 'destroying' }
    : row;

/** `rows` with these columns only: a migration may add some. */
const columnsOf = (rows: Rows[string], columns: string[]): unknown[] =>
  rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column]]))).sort(byText);

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '').each(versions)(`a database of version $version on ${name} ${skip}`, (version) => {
    let database: LandedDatabase;
    let secrets: LandedSecrets;
    let ring: KeyRing;
    let vault: Vault;
    beforeAll(async () => {
      database = await open(version);
      secrets = await version.secrets();
      ring = createKeyRing(await loadVaultKeys(database.home), async () => undefined);
      vault = openVault(database, ring);
    });
    afterAll(() => database.close());

    it('keeps every row and all that it says', async () => {
      const after = await allRows(queries(database));
      for (const [table, rows] of Object.entries(database.before)) {
        // Keys of homes have moved to a table of the vault: they are opened below.
        const columns = Object.keys(rows[0] ?? {}).filter((column) => column !== 'home_key_sealed');
        expect(rows.length, table).toBeGreaterThan(0);
        expect(columnsOf(after[table] ?? [], columns), table).toEqual(
          columnsOf(
            rows.filter((row) => isKept(table, row)).map((row) => asNow(table, row)),
            columns,
          ),
        );
      }
    });

    it('opens every credential under the key that it was sealed with', async () => {
      const opened = await Promise.all(
        (await vault.list(null)).map(async (row) => {
          const { userId, provider, generation, lineage, state } = row;
          return { userId, provider, generation, lineage, state, bundle: await vault.read(row) };
        }),
      );
      // The same login, in the form in which it is sealed now.
      const own = secrets.credentials.map((one) => ({ ...one, bundle: judgeBundle(one.provider, one.bundle).bundle }));
      expect(opened.sort(byText)).toEqual(own.sort(byText));
    });

    it('opens every home key', async () => {
      const rows = (await allRows(queries(database)))['home_keys'] ?? [];
      const vmIds = rows.map((row) => row['vm_id'] as string);
      const opened = await Promise.all(vmIds.map(async (vmId) => ({ vmId, key: await vault.openHomeKey(vmId) })));
      expect(opened.sort(byText)).toEqual(secrets.homeKeys.sort(byText));
    });

    it('has lost nothing, and seals all of it again under a new key', async () => {
      const sealed = secrets.credentials.length + secrets.homeKeys.length;
      expect(await vault.status()).toMatchObject({ sealed, underOldKeys: 0, lost: 0 });
      expect(await vault.rotate()).toMatchObject({ sealed, underOldKeys: 0, lost: 0 });
    });

    it('takes back its own backup when the key is gone', async () => {
      const stranger = openVault(
        database,
        createKeyRing([newVaultKey()], async () => undefined),
      );
      const homes = new Set(secrets.homeKeys.map(({ vmId }) => vmId));
      const entries = await stranger.restore(secrets.passphrase, await version.text('backup.jwe'), homes);
      const restored = entries.filter(({ result }) => result === 'restored').map(({ name }) => name);
      const active = secrets.credentials.filter(({ state }) => state === 'active');
      // One of them is older than the sign-in that was staged after it.
      expect(restored).toEqual(expect.arrayContaining(secrets.homeKeys.map(({ vmId }) => vmId)));
      expect(entries).toHaveLength(active.length + secrets.homeKeys.length);
      expect(entries.map(({ result }) => result)).not.toContain('absent');
    });
  });
}

describe.each(versions)('on a host of version $version', (version) => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'al-up-'));
  });
  afterEach(() => rm(home, { recursive: true }));

  it('the manifest of its image is understood', async () => {
    const manifest = ImageManifest.parse(await version.json('manifest.json'));
    expect(manifest).toMatchObject({ gate: { passed: true } });
    expect(() => requireUnderstood(manifest, null)).not.toThrow();
    const clis = ['codex', 'claude_code', 'gemini_cli'];
    expect(manifest.clis.map(({ id }) => id).sort()).toEqual(clis.toSorted());
    expect(Object.keys(manifest.versions)).toEqual(expect.arrayContaining(clis));
  });

  it.each(['browser', 'cli'] as const)('the last word of the runner of a %s VM is understood', async (kind) => {
    expect(RunnerStatus.parse(await version.json(`runner/${kind}/status.json`))).toMatchObject({ phase: 'ready' });
  });

  it.each(['browser', 'cli'] as const)('a %s VM that ended is found, and its secrets go', async (kind) => {
    const vmId = await writeLandedVm(version, home, kind);
    const engine = openTestEngine(home);
    expect(await engine.status(vmId)).toMatchObject({ alive: false, status: { vmId, phase: 'ready' } });
    await engine.stop(vmId, 0);
    await expect(access(join(homePaths(home).secrets, vmId))).rejects.toMatchObject({ code: 'ENOENT' });
    await engine.close();
  });

  it('the image of a CLI VM is kept as long as its disk', async () => {
    const vmId = await writeLandedVm(version, home, 'cli');
    const disk = homePaths(home).vmFile(vmId, 'disk');
    await writeFile(disk, '');
    const { kernel } = (await version.json('runner/cli/spec.json')) as { kernel: string };
    const [image, images] = [basename(dirname(kernel)), homePaths(home).images.folder];
    await mkdir(join(images, image), { recursive: true });
    expect((await prune(images, home, 0)).kept).toEqual([{ id: image, why: `used by ${vmId}` }]);
    await rm(disk);
    expect((await prune(images, home, 0)).removed).toEqual([image]);
    expect((await readdir(images)).filter((name) => name.startsWith('img_'))).toEqual([]);
  });
});
