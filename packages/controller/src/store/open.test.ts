/** The embedded database as a process: what is kept, and what ends when. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { AppError } from '@airlock/contract/errors';
import { openStore } from './open.js';
import { airlock } from './schema.js';
import { listUsers, silentLog, testSettings } from './testing.js';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'al-open-'));
});
afterAll(() => rm(home, { recursive: true }));

const open = (onLost?: Parameters<typeof openStore>[2]) => openStore(testSettings(home), silentLog, onLost);

/** Ids of the processes whose command line names this test's database. */
async function databaseProcesses(): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, i) => lines[i]?.includes(join(home, 'db', 'data'))).map(Number);
}

test('keeps what was stored, in a folder for this user alone, and ends with close', { timeout: 120_000 }, async () => {
  const first = await open();
  expect(first.kind).toBe('pglite');
  expect((await stat(join(home, 'db'))).mode & 0o777).toBe(0o700);
  await first.db.execute(sql`insert into ${airlock}.users values ('usr_1', 'one', 'user', 10001)`);
  expect(await databaseProcesses()).toHaveLength(1);
  await first.close();
  await first.close();
  expect(await databaseProcesses()).toEqual([]);
  const second = await open();
  expect((await listUsers(second.db)).map((user) => user.name)).toEqual(['one']);
  await second.close();
});

test('a first start that was interrupted does no harm', { timeout: 120_000 }, async () => {
  const other = await mkdtemp(join(tmpdir(), 'al-open-'));
  await mkdir(join(other, 'db', 'data.new', 'base'), { recursive: true });
  await writeFile(join(other, 'db', 'data.new', 'PG_VERSION'), '18');
  const store = await openStore(testSettings(other), silentLog);
  expect(await listUsers(store.db)).toEqual([]);
  await store.close();
  expect((await readdir(join(other, 'db'))).sort()).toEqual(['data', 'lock']);
  await rm(other, { recursive: true });
});

test('says so when the database ends by itself', { timeout: 60_000 }, async () => {
  const onLost = vi.fn<(error: AppError) => void>();
  const store = await open(onLost);
  for (const pid of await databaseProcesses()) process.kill(pid, 'SIGKILL');
  await vi.waitFor(() => expect(onLost).toHaveBeenCalledOnce(), { timeout: 10_000 });
  expect(onLost.mock.calls[0]?.[0]).toMatchObject({ code: 'store_failed' });
  await store.close();
});

test('a killed controller leaves no process, and loses nothing that was stored', { timeout: 60_000 }, async () => {
  const url = pathToFileURL(createRequire(import.meta.url).resolve('@airlock/controller/store/open')).href;
  const program = join(home, 'controller.mjs');
  await writeFile(
    program,
    `import { openStore } from ${JSON.stringify(url)};
     import { pino } from ${JSON.stringify(pathToFileURL(createRequire(import.meta.url).resolve('pino')).href)};
     const log = pino({ level: 'silent' });
     const store = await openStore(${JSON.stringify(testSettings(home))}, log);
     await store.db.$client.query("insert into airlock.users values ('usr_2', 'two', 'user', 10002)");
     process.send('stored');`,
  );
  const controller = fork(program, { execArgv: [] });
  await once(controller, 'message');
  controller.kill('SIGKILL');
  await once(controller, 'exit');
  const store = await open();
  expect((await listUsers(store.db)).map((user) => user.name).sort()).toEqual(['one', 'two']);
  expect(await databaseProcesses()).toHaveLength(1);
  await store.close();
});
