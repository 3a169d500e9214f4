/** For tests: an empty database of each kind that this host can run, in a folder that is removed afterwards. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { pino } from 'pino';
import { run } from '@airlock/contract/process';
import { openStore, type StoreSettings } from './open.js';
import { airlock } from './schema.js';
import type { Database, Store } from './store.js';
import { giveEmptyDatabase } from './testing-database.js';

export interface TestStore {
  store: Store;
  /** AIRLOCK_HOME of the test. */
  home: string;
  /** Removes every row. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

export const silentLog = pino({ level: 'silent' });

/** What `openStore` reads, as in a default installation. */
export const testSettings = (home: string, url?: string): StoreSettings => ({
  AIRLOCK_HOME: home,
  AIRLOCK_DB_SCHEMA: 'airlock',
  DATABASE_URL: url,
});

/** A store on the embedded database, as in a default installation. */
export async function openEmbeddedTestStore(): Promise<TestStore> {
  const home = await mkdtemp(join(tmpdir(), 'al-db-'));
  await giveEmptyDatabase(home);
  const store = await openStore(testSettings(home), silentLog);
  return testStore(store, home, async () => undefined);
}

/** A store on a PostgreSQL server that lives as long as it does. */
export async function openPostgresTestStore(binaries: string): Promise<TestStore> {
  const home = await mkdtemp(join(tmpdir(), 'al-pg-'));
  const server = await startPostgres(binaries, home);
  const store = await openStore(testSettings(home, server.url), silentLog);
  return testStore(store, home, server.close);
}

/** The newest PostgreSQL server's program folder of this host, or undefined. */
export async function findPostgres(): Promise<string | undefined> {
  const root = '/usr/lib/postgresql';
  const versions = await readdir(root).catch(() => []);
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) return undefined;
  const folder = join(root, newest, 'bin');
  return (await readdir(folder)).includes('initdb') ? folder : undefined;
}

const postgres = await findPostgres();

/** Every kind of database; `skip` says why this host cannot run it. */
export const databases = [
  { name: 'embedded PGlite', open: openEmbeddedTestStore, skip: '' },
  {
    name: 'PostgreSQL',
    open: () => openPostgresTestStore(postgres ?? ''),
    skip: postgres === undefined ? 'skipped: no PostgreSQL server in /usr/lib/postgresql (Debian: postgresql)' : '',
  },
];

function testStore(store: Store, home: string, closeServer: () => Promise<void>): TestStore {
  return {
    store,
    home,
    empty: async () => emptyTables(store.db),
    close: async () => {
      await store.close();
      await closeServer();
      await rm(home, { recursive: true });
    },
  };
}

async function emptyTables(db: Database): Promise<void> {
  const { rows } = await db.execute<{ name: string }>(
    sql`select tablename as name from pg_tables where schemaname = ${airlock.schemaName} and tablename <> 'migrations'`,
  );
  // Not `truncate`, which makes new files: it takes ten times as long for a few rows.
  const deletes = rows.map(
    ({ name }, i) => sql`${sql.identifier(`d${i}`)} as (delete from ${airlock}.${sql.identifier(name)})`,
  );
  await db.transaction(async (tx) => {
    await tx.execute(sql`alter table ${airlock}.audit disable trigger user`);
    await tx.execute(sql`with ${sql.join(deletes, sql`, `)} select`);
    await tx.execute(sql`alter table ${airlock}.audit enable trigger user`);
  });
}

/** The row of a user. Only for tests outside of the user folder, which may not see its table. */
export async function addUser(db: Database, id: string, name = 'ada', port = 10001): Promise<void> {
  await db.execute(
    sql`insert into ${airlock}.users (id, name, role, proxy_port) values (${id}, ${name}, 'user', ${port})`,
  );
}

export async function listUsers(db: Database): Promise<{ id: string; name: string }[]> {
  return (await db.execute<{ id: string; name: string }>(sql`select id, name from ${airlock}.users`)).rows;
}

/** PostgreSQL refuses to run as root; `nobody` then owns its folder. */
const unprivileged = { uid: 65534, gid: 65534 };

async function startPostgres(binaries: string, home: string): Promise<{ url: string; close(): Promise<void> }> {
  const folder = join(home, 'pg');
  const asRoot = process.getuid?.() === 0;
  await mkdir(folder, { mode: 0o700 });
  if (asRoot) {
    await chmod(home, 0o711);
    await chown(folder, unprivileged.uid, unprivileged.gid);
  }
  const [before, user] = asRoot
    ? [['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'], 'nobody']
    : [['setpriv', '--'], 'airlock'];
  const [program = '', ...rest] = before;
  const data = join(folder, 'data');
  await run(program, [...rest, join(binaries, 'initdb'), '-D', data, '-U', user, '-A', 'trust', '--no-sync'], {
    cwd: folder,
  });
  const server = spawn(
    program,
    [...rest, join(binaries, 'postgres'), '-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off'],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  await untilAccepting(server);
  return {
    url: `postgresql://${user}@localhost/postgres?host=${encodeURIComponent(folder)}`,
    close: async () => {
      server.kill('SIGINT');
      await once(server, 'exit');
    },
  };
}

async function untilAccepting(server: ChildProcess): Promise<void> {
  let output = '';
  await new Promise<void>((resolve, reject) => {
    server.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('ready to accept connections')) resolve();
    });
    server.once('exit', (code) => reject(new Error(`postgres ended with ${code}: ${output}`)));
  });
}
