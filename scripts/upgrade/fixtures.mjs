/**
 * Makes the folder of upgrade fixtures of one landed version, with that version's own programs: see
 * tests/fixtures/upgrade/README.md for what is in it and who reads it.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { homePaths } from '@airlock/contract/home';
import { capture, readArgs, Stop, timed } from '../run.mjs';
import { recordGuest } from './fixture-guest.mjs';
import { fill } from './fixture-rows.mjs';

const help = `Usage: node scripts/upgrade/fixtures.mjs --checkout FOLDER --image-home FOLDER --to FOLDER

Makes the upgrade fixtures of the version in --checkout, which is built, with the golden image of --image-home, which that version
made. Starts two VMs of it for a minute. Needs PostgreSQL (pg_dump).

  --checkout    the landed version, with node_modules, built
  --image-home  AIRLOCK_HOME with the golden image that it made
  --to          where the fixtures go: tests/fixtures/upgrade/<commit>
`;

const passphrase = 'only for tests: no secret is under it';
/** 32 bytes that anybody can compute: whatever this key seals is for tests. */
const testKey = createHash('sha256').update('fixtures of an upgrade').digest();

/** The landed version's own modules. */
const from = (checkout) => (path) => import(pathToFileURL(join(checkout, path)).href);

async function makeDatabase(load, folder) {
  const own = (name) => load(`packages/controller/dist/${name}.js`);
  const [testing, { createVault }, { createKeyRing }, { vaultKey }, { newSteps }] = await Promise.all(
    ['store/testing', 'vault/create', 'vault/ring', 'vault/jwe', 'session/steps'].map(own),
  );
  const tables = Object.assign(
    {},
    ...(await Promise.all(['user', 'vm', 'session', 'vault'].map((noun) => own(`${noun}/table`)))),
  );
  const binaries = await testing.findPostgres();
  if (binaries === undefined) throw new Stop('There is no PostgreSQL server in /usr/lib/postgresql.');
  const database = await testing.openPostgresTestStore(binaries);
  try {
    const { store } = database;
    const ring = createKeyRing([vaultKey(testKey)], async () => undefined);
    const users = { list: () => testing.listUsers(store.db) };
    const vault = createVault({ store, ring, users, log: testing.silentLog });
    const secrets = await fill({ store, vault, ring, tables, newSteps });
    const { backup } = await vault.backup(passphrase);
    await writeFile(join(folder, 'key.base64'), `${testKey.toString('base64')}\n`);
    await writeFile(join(folder, 'backup.jwe'), `${backup}\n`);
    await writeJson(join(folder, 'secrets.json'), { passphrase, ...secrets });
    await writeFile(join(folder, 'database.sql'), await dump(binaries, store));
  } finally {
    await database.close();
  }
}

/** Plain SQL that PGlite takes as well: without the commands that only psql knows. */
async function dump(binaries, { db }) {
  const asked = "select current_setting('unix_socket_directories') as folder, current_user as user";
  const { folder, user } = (await db.$client.query(asked)).rows[0];
  const argv = [
    join(binaries, 'pg_dump'),
    '-h',
    folder,
    '-U',
    user,
    '--column-inserts',
    '--no-owner',
    '--no-privileges',
  ];
  const { code, stdout, stderr } = await capture([...argv, 'postgres']);
  if (code !== 0) throw new Stop(`pg_dump failed: ${stderr}`);
  return stdout
    .replace(/^\\.*\n/gm, '')
    .replace(/^--.*\n/gm, '')
    .replace(/\n{2,}/g, '\n\n');
}

const writeJson = (path, value) => writeFile(path, `${JSON.stringify(value, null, 2)}\n`);

/** @throws Stop when the image is not of that version: somebody else may have built one meanwhile. */
async function keepManifest(load, folder, imageHome) {
  const manifest = join(await realpath(homePaths(imageHome).images.current), 'manifest.json');
  const { plainInputs } = await load('packages/image-builder/dist/inputs.js');
  const { inputsSha256 } = JSON.parse(await readFile(manifest, 'utf8'));
  if (inputsSha256 !== (await plainInputs(null)).sha256)
    throw new Stop(`${manifest} is not of the version in --checkout.`);
  await copyFile(manifest, join(folder, 'manifest.json'));
}

/** A sign-in as far as both its VMs being ready: what their runners wrote is kept, with the paths of no real machine. */
async function makeRunning(load, folder, imageHome) {
  const names = ['controller', 'api', 'fake-internet', 'poll'].map((name) => `tests/dist/support/${name}.js`);
  const modules = await Promise.all([...names, 'packages/contract/dist/api.js'].map(load));
  const [{ startController }, { apiClient, endController }, { createFakeInternet }, { until }, contract] = modules;
  const home = await mkdtemp(join(tmpdir(), 'airlock-u-'));
  const paths = homePaths(home);
  await symlink(homePaths(imageHome).images.folder, paths.images.folder);
  const internet = await createFakeInternet({ ports: [0, 0] });
  await writeFile(join(home, 'ca.pem'), internet.caPem);
  const controller = await startController({
    home,
    env: {
      AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
      AIRLOCK_PROXY_PORT_BASE: String(internet.port),
      AIRLOCK_EXTRA_CA: join(home, 'ca.pem'),
    },
  });
  const api = apiClient(controller.url, controller.token);
  try {
    await api.call('POST', '/api/vm/auth', contract.StartSessionResponse, { body: { provider: 'codex' } });
    const vms = await bothRunning(api, contract, until);
    for (const { id, kind } of vms) await keepFiles(paths.vm(id), join(folder, 'runner', kind), [home, imageHome]);
  } finally {
    await api.close();
    await endController(controller);
    await internet.close();
    await rm(home, { recursive: true });
  }
}

async function bothRunning(api, { VmList }, until) {
  return until(
    'both VMs of the sign-in to run',
    async () => {
      const { vms } = await api.call('GET', '/api/vm', VmList);
      const gone = vms.find(({ state }) => state === 'failed' || state === 'destroyed');
      if (gone) throw new Stop(`A VM is ${gone.state}: ${JSON.stringify(gone.error)}`);
      return vms.length === 2 && vms.every(({ state }) => state === 'running') && vms;
    },
    { timeoutMs: 300_000, intervalMs: 500 },
  );
}

async function keepFiles(vmFolder, to, [home, imageHome]) {
  await mkdir(to, { recursive: true });
  for (const name of ['spec.json', 'status.json']) {
    const text = await readFile(join(vmFolder, name), 'utf8');
    const moved = text.replaceAll(home, '/srv/airlock').replaceAll(imageHome, '/srv/airlock');
    await writeJson(join(to, name), JSON.parse(moved));
  }
}

async function main() {
  const options = Object.fromEntries(['checkout', 'image-home', 'to'].map((name) => [name, { type: 'string' }]));
  const asked = readArgs(process.argv.slice(2), { help, options });
  if (!asked) return;
  for (const name of Object.keys(options))
    if (!asked.values[name]) throw new Stop(`--${name} is missing.`, `\n${help}`);
  const [checkout, imageHome, folder] = ['checkout', 'image-home', 'to'].map((name) => resolve(asked.values[name]));
  const load = from(checkout);
  await mkdir(folder, { recursive: true });
  const agent = await readFile(join(checkout, 'packages/guest-agent/dist/agent.cjs'));
  await writeFile(join(folder, 'agent.cjs.gz'), gzipSync(agent, { level: 9 }));
  await keepManifest(load, folder, imageHome);
  await timed('The database, its backup and its secrets', () => makeDatabase(load, folder));
  await timed('What its controller and its agent say to each other', async () => {
    await writeJson(join(folder, 'guest.json'), await recordGuest(load, checkout));
  });
  await timed('What runners of running VMs write', () => makeRunning(load, folder, imageHome));
}

await Stop.guard(main);
