/**
 * For tests: an embedded database with all tables and no rows, copied instead of made: making one takes ten times as long. The
 * original is made once for each state of this folder and of the migrations, and lies in node_modules of the checkout.
 */
import { createHash } from 'node:crypto';
import { access, cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { homePaths } from '@airlock/contract/home';
import { readSettings } from '@airlock/contract/settings';
import { takeLock } from '../lib/lock.js';
import { openStore } from './open.js';

// Of the sources, also where this runs compiled: tests of both kinds share one original.
const sources = fileURLToPath(new URL('../../src/store', import.meta.url));
const migrations = fileURLToPath(new URL('../../migrations', import.meta.url));
const originals = fileURLToPath(new URL('../../../../node_modules/.airlock-test-databases', import.meta.url));
/** Seconds that whoever makes the original may take on a host that is busy. */
const makeTimeoutS = 120;

let original: Promise<string> | undefined;

/** Gives the home a database, unless it has one; before anything opens it. */
export async function giveEmptyDatabase(home: string): Promise<void> {
  const { database } = homePaths(home);
  if (await exists(database)) return;
  const from = await (original ??= makeOriginal());
  await mkdir(database, { recursive: true, mode: 0o700 });
  await copy(homePaths(from).database, database);
}

/** The home that others are copied from. */
async function makeOriginal(): Promise<string> {
  const home = join(originals, await hashOfSources());
  if (await exists(home)) return home;
  await mkdir(originals, { recursive: true });
  const lock = await takeLock(join(originals, 'lock'), makeTimeoutS);
  if (!lock) throw new Error(`nobody has made the database in ${home} within ${makeTimeoutS} s`);
  try {
    if (!(await exists(home))) await makeIn(home);
  } finally {
    await lock.release();
  }
  return home;
}

/** Under another name until it is whole. What is there of earlier sources goes. */
async function makeIn(home: string): Promise<void> {
  for (const name of await readdir(originals)) {
    if (name !== 'lock') await rm(join(originals, name), { recursive: true });
  }
  // Where a path is short enough for its sockets, however long that of the checkout is.
  const made = await mkdtemp(join(tmpdir(), 'airlock-db-'));
  try {
    const store = await openStore(readSettings({ AIRLOCK_HOME: made }), pino({ level: 'silent' }));
    await store.close();
    await copy(made, `${home}.new`);
    await rename(`${home}.new`, home);
  } finally {
    await rm(made, { recursive: true });
  }
}

/** All but what belongs to a process that has the database open. */
const copy = (from: string, to: string): Promise<void> =>
  cp(from, to, { recursive: true, filter: (path) => !/\/(lock|\.s\.[^/]*)$/.test(path) });

/** What decides how a new database looks: PGlite, the migrations, and how this folder runs them. */
async function hashOfSources(): Promise<string> {
  const require = createRequire(import.meta.url);
  const hash = createHash('sha256');
  hash.update(await readFile(join(require.resolve('@electric-sql/pglite'), '../../package.json')));
  for (const folder of [sources, migrations]) {
    const files = (await readdir(folder, { withFileTypes: true, recursive: true })).filter((entry) => entry.isFile());
    for (const path of files.map((file) => join(file.parentPath, file.name)).sort()) {
      hash.update(`\0${path}\0`).update(await readFile(path));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
