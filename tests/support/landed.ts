/** What versions that are landed have left behind, for tests of an upgrade: tests/fixtures/upgrade, one folder a version. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import pg from 'pg';
import { pino } from 'pino';
import { newestGuestProtocol, type CredentialBundle } from '@airlock/contract/guest';
import { nullIfAbsent } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { startEmbedded } from '@airlock/controller/store/embedded-process';
import { openStore } from '@airlock/controller/store/open';
import type { Store } from '@airlock/controller/store/store';
import { openPostgresTestStore, testSettings } from '@airlock/controller/store/testing';
import type { GuestRecord } from './guest-calls.js';

// This file is run both from tests/support and, compiled, from tests/dist/support.
const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here.slice(0, here.lastIndexOf('/tests/')), 'tests/fixtures/upgrade');
const log = pino({ level: 'silent' });

/** Every secret of a fixture's database in the clear. */
export interface LandedSecrets {
  /** Of the backup. */
  passphrase: string;
  /** Of the user ada. */
  token: string;
  homeKeys: { vmId: string; key: string }[];
  credentials: {
    userId: string;
    provider: ProviderId;
    generation: number;
    lineage: number;
    state: 'staged' | 'active';
    bundle: CredentialBundle;
  }[];
}

export interface Landed {
  version: string;
  text(name: string): Promise<string>;
  json(name: string): Promise<unknown>;
  secrets(): Promise<LandedSecrets>;
  /** Puts the agent of that version's images there, as one program. */
  writeAgent(path: string): Promise<void>;
  /** What its controller and agent say to each other; null where that was not recorded. */
  guest(): Promise<GuestRecord | null>;
  /** Puts its vault key into this AIRLOCK_HOME. */
  writeVaultKey(home: string): Promise<void>;
}

export async function landedVersions(): Promise<Landed[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => landed(name));
}

function landed(version: string): Landed {
  const at = (name: string): string => join(root, version, name);
  const text = (name: string): Promise<string> => readFile(at(name), 'utf8');
  const json = async (name: string): Promise<unknown> => JSON.parse(await text(name));
  return {
    version,
    text,
    json,
    secrets: async () => (await json('secrets.json')) as LandedSecrets,
    guest: async () => {
      const recorded = await text('guest.json').catch(nullIfAbsent);
      return recorded === null ? null : (JSON.parse(recorded) as GuestRecord);
    },
    writeAgent: async (path) => writeFile(path, await promisify(gunzip)(await readFile(at('agent.cjs.gz')))),
    writeVaultKey: async (home) => writeFile(homePaths(home).vaultKey, await text('key.base64'), { mode: 0o600 }),
  };
}

/** A table name and its rows, as JSON, in the order of their text. */
export type Rows = Record<string, Record<string, unknown>[]>;

interface Queries {
  query(text: string): Promise<{ rows: unknown[] }>;
}

/** Every row of every table but the journal of migrations, whatever schema the tables are in. */
export async function allRows(db: Queries): Promise<Rows> {
  const listed = await db.query(`select table_schema as schema, table_name as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema', 'drizzle')
    and table_name <> 'migrations'`);
  const rows: Rows = {};
  for (const { schema, name } of listed.rows as { schema: string; name: string }[]) {
    if (rows[name]) throw new Error(`the table ${name} is there twice`);
    const found = await db.query(`select row_to_json(t) as row from "${schema}"."${name}" t order by t::text`);
    rows[name] = (found.rows as { row: Record<string, unknown> }[]).map(({ row }) => row);
  }
  return rows;
}

export interface LandedDatabase {
  store: Store;
  /** AIRLOCK_HOME, with the vault key. */
  home: string;
  /** What was in it before this version opened it. */
  before: Rows;
  close(): Promise<void>;
}

/** An AIRLOCK_HOME of that version: its database in the default installation, and its vault key. */
export async function createLandedHome(version: Landed): Promise<{ home: string; before: Rows }> {
  const home = await mkdtemp(join(tmpdir(), 'airlock-up-'));
  const embedded = await startEmbedded(homePaths(home).database, log, (error) => {
    throw error;
  });
  const before = await load(version, { host: embedded.socketFolder, user: 'postgres', database: 'postgres' });
  await embedded.close();
  await version.writeVaultKey(home);
  return { home, before };
}

/** The database as that version left it, opened by this version: in its default installation. */
export async function openLandedEmbedded(version: Landed): Promise<LandedDatabase> {
  const { home, before } = await createLandedHome(version);
  const store = await openStore(testSettings(home), log);
  return {
    store,
    home,
    before,
    close: async () => {
      await store.close();
      await rm(home, { recursive: true });
    },
  };
}

/** The same on a PostgreSQL server of its own. */
export async function openLandedPostgres(version: Landed, binaries: string): Promise<LandedDatabase> {
  const server = await openPostgresTestStore(binaries);
  const asked = `select current_setting('unix_socket_directories') as folder, current_user as user`;
  const [place] = (await server.store.db.execute<{ folder: string; user: string }>(asked)).rows;
  const { folder, user } = place ?? { folder: '', user: '' };
  await server.store.db.execute('create database landed');
  const before = await load(version, { host: folder, user, database: 'landed' });
  const url = `postgresql://${user}@localhost/landed?host=${encodeURIComponent(folder)}`;
  const store = await openStore(testSettings(server.home, url), log);
  await version.writeVaultKey(server.home);
  return {
    store,
    home: server.home,
    before,
    close: async () => {
      await store.close();
      await server.close();
    },
  };
}

async function load(version: Landed, config: pg.ClientConfig): Promise<Rows> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    await client.query(await version.text('database.sql'));
    return await allRows(client);
  } finally {
    await client.end();
  }
}

/**
 * The description of the image that the VMs of its database are made from: what that version's images say of themselves, or those of
 * a version to come, one protocol on.
 */
export async function writeLandedManifest(
  version: Landed,
  home: string,
  imageId: string,
  isToCome: boolean,
): Promise<void> {
  const folder = homePaths(home).images.image(imageId);
  await mkdir(folder, { recursive: true });
  const manifest = { ...((await version.json('manifest.json')) as object), id: imageId };
  const newer = { guestProtocol: newestGuestProtocol, next: 1 };
  const written = isToCome ? { ...ImageManifest.parse(manifest), ...newer } : manifest;
  await writeFile(join(folder, imageFiles.manifest), JSON.stringify(written));
}

/** A VM folder as that version left it: its files name this home instead of the one where they were written. */
export async function writeLandedVm(version: Landed, home: string, kind: 'browser' | 'cli'): Promise<string> {
  const spec = (await version.json(`runner/${kind}/spec.json`)) as { vmId: string } & Record<string, string>;
  const secretFolder = spec['secretFolder'] ?? spec['secretDir'] ?? '';
  const { vm, secrets } = homePaths(home);
  const folder = vm(spec.vmId);
  await mkdir(folder, { recursive: true });
  for (const name of ['spec.json', 'status.json']) {
    const text = (await version.text(`runner/${kind}/${name}`)).replaceAll('/srv/airlock', home);
    await writeFile(join(folder, name), text.replaceAll(secretFolder, join(secrets, spec.vmId)));
  }
  await mkdir(join(secrets, spec.vmId), { recursive: true });
  return spec.vmId;
}
