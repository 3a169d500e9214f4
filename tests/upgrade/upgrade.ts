/**
 * An upgrade with real VMs: two persons get their CLI VMs from an older version, one runs and one stands still; then this version takes
 * over the same AIRLOCK_HOME. What was made with the older image goes on as it is, until it gets a root of the newer one: then it has that
 * under the same home, with the same logins, and needs the older image no more.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { homePaths, type HomePaths } from '@airlock/contract/home';
import { keyProof } from '@airlock/contract/key-proof';
import { rootFile } from '@airlock/contract/runner';
import { endController } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';
import { openImages, type UpgradeImages } from './images.js';
import { KeptHome } from './kept-home.js';
import { Person, type Answer } from './person.js';
import { twoPorts } from './ports.js';

export interface UpgradeRequest {
  /** main.js of the older controller. */
  oldProgram: string;
  /** Folders of two golden images: the older version's, and this one's. */
  images: { older: string; newer: string };
  /** Called with each thing shown, and its seconds. */
  tell(what: string, seconds: number): void;
}

const passphrase = randomBytes(16).toString('hex');
const random = randomBytes(12).toString('hex');
const keys = { codex: `sk-test${random}`, claude_code: `sk-ant-test${random}`, gemini_cli: `AIzatest${random}` };
/** Three logins and the key of the home, of each person. */
const sealed = 8;

/** @throws Error at the first thing that is not as it should be */
export async function runUpgrade(request: UpgradeRequest): Promise<void> {
  const upgrade = new Upgrade(request);
  try {
    await upgrade.open();
    await upgrade.useOldVersion();
    await upgrade.takeOver();
    await upgrade.failToCarryOver();
    await upgrade.carryOver();
    await upgrade.updateAdopted();
    await upgrade.endBoth();
    await upgrade.loseKeyAndRestore();
  } finally {
    await upgrade.close();
  }
}

class Upgrade {
  readonly #request: UpgradeRequest;
  readonly #endings: (() => Promise<unknown>)[] = [];
  readonly #homes = new Map<Person, KeptHome>();
  #home = '';
  #paths!: HomePaths;
  #images!: UpgradeImages;
  #internet!: FakeInternet;
  #before!: Snapshot;
  #controller!: RunningController;
  #admin!: Person;
  #ada!: Person;
  #backup = '';

  constructor(request: UpgradeRequest) {
    this.#request = request;
  }

  async open(): Promise<void> {
    this.#home = await mkdtemp(join(tmpdir(), 'airlock-up-'));
    this.#paths = homePaths(this.#home);
    this.#before = await takeSnapshot({ home: this.#home });
    this.#endings.push(() => untilNoLeaks(this.#before, 20_000));
    this.#endings.push(() => rm(this.#home, { recursive: true }));
    this.#images = await openImages(this.#home, this.#request.images);
    this.#internet = await createFakeInternet({ ports: await twoPorts(), codex: { apiKey: keys.codex } });
    this.#endings.push(this.#internet.close);
    this.#internet.claudeProvider.addApiKey(keys.claude_code);
    this.#internet.googleProvider.addApiKey(keys.gemini_cli);
    await writeFile(join(this.#home, 'test-ca.pem'), this.#internet.caPem);
  }

  /** Two persons with a CLI VM, three logins and files each: ada's VM stands still at the end, the admin's runs. */
  async useOldVersion(): Promise<void> {
    await this.#step('the older controller is ready', () => this.#start(this.#request.oldProgram));
    this.#endings.push(() => endController(this.#controller));
    const world = { url: () => this.#controller.url, keys };
    this.#admin = new Person('admin', this.#controller.token, world);
    const { token } = await this.#admin.call('POST', '/api/users', { name: 'ada' });
    this.#ada = new Person('ada', String(token), world);
    for (const person of [this.#ada, this.#admin]) {
      await this.#step(`${person.name} has a CLI VM with files and three logins`, () => this.#settle(person));
    }
    await this.#stopBoth();
    for (const home of this.#homes.values()) await home.note();
    await this.#step('the admin’s is started again, and answers a prompt', () => this.#admin.ask());
    await this.#step('a backup is made', async () => {
      const made = await this.#admin.call('POST', '/api/vault/backup', { passphrase });
      this.#backup = String(made['backup']);
    });
  }

  async #settle(person: Person): Promise<void> {
    await person.connectAll();
    const home = new KeptHome(this.#home, await person.vmId());
    this.#homes.set(person, home);
    await home.untilMade();
  }

  /** This version on the same home, whose current image does not boot yet: the VM that runs is adopted, and goes on as it is. */
  async takeOver(): Promise<void> {
    const before = await this.#admin.vm();
    await this.#step('the older controller ends, and its VM goes on', () => this.#controller.stop());
    await this.#images.use(this.#images.broken);
    await this.#step('this version is ready', () => this.#start());
    await this.#step('the running VM is adopted with its root', async () => {
      await this.#admin.untilVm({ state: 'running' });
      await this.#admin.requireVm({ id: before['id'], imageId: this.#images.older, update: null });
    });
    await this.#works(this.#admin);
  }

  /** Of what does not boot nothing is left but the word about it. */
  async failToCarryOver(): Promise<void> {
    const what = 'the stopped VM is not carried over to an image that does not boot, and answers a prompt as it was';
    await this.#step(what, () => this.#ada.ask());
    await this.#ada.requireVm({ state: 'running', imageId: this.#images.older });
    const { state, imageId, error } = (await this.#ada.vm())['update'] as Answer;
    expectSame('the update', state, 'failed');
    expectSame('the image that was tried', imageId, this.#images.broken);
    if (!JSON.stringify(error).includes('does not boot')) throw new Error(`why it failed: ${JSON.stringify(error)}`);
    await this.#step('it stops, and its files are the same', async () => {
      await this.#ada.stop();
      await this.#requireRoots(this.#ada, []);
      await this.#homes.get(this.#ada)?.requireSame();
    });
  }

  async carryOver(): Promise<void> {
    await this.#images.use(this.#images.newer);
    await this.#step('it is carried over to the newer image at its next start, and answers a prompt', () =>
      this.#ada.ask(),
    );
    await this.#requireNewer(this.#ada);
    await this.#step('its CLIs accept their logins', () => this.#ada.prove());
  }

  async updateAdopted(): Promise<void> {
    const { id, behind } = await this.#admin.vm();
    expectSame('what the adopted VM is behind', (behind as Answer | null)?.['imageId'], this.#images.newer);
    await this.#step('the adopted VM is updated', async () => {
      await this.#admin.call('POST', `/api/vm/${String(id)}/update`, { now: true });
      await this.#admin.untilVm({ state: 'running', imageId: this.#images.newer, update: null });
    });
    await this.#requireNewer(this.#admin);
    await this.#works(this.#admin);
  }

  async #works(person: Person): Promise<void> {
    await this.#step('its CLIs accept their logins', () => person.prove());
    await this.#step('and it answers a prompt', () => person.ask());
  }

  async #requireNewer(person: Person): Promise<void> {
    await person.requireVm({ imageId: this.#images.newer, update: null, behind: null });
    await this.#requireRoots(person, [rootFile({ number: 1, imageId: this.#images.newer })]);
  }

  /** What is not needed any more is taken away right after it is said to be over. */
  async #requireRoots(person: Person, names: string[]): Promise<void> {
    const folder = this.#paths.vm(await person.vmId());
    // Number 0 is no disk, but the name of the image that a VM may go back to.
    const found = async () => (await readdir(folder)).filter((name) => /^root\.(?!0\.)/.test(name)).join();
    const isSame = async () => (await found()) === names.join();
    await until(`the roots in ${folder} to be these: ${names.join()}`, isSame, { timeoutMs: 20_000, explain: found });
  }

  async endBoth(): Promise<void> {
    await this.#stopBoth();
    await this.#step('of both the disk is the same file, with the same files', async () => {
      for (const home of this.#homes.values()) await home.requireSame();
    });
    await this.#images.remove(this.#images.older);
  }

  /** Without the vault's key, the older version's backup brings back the logins and what opens the homes. */
  async loseKeyAndRestore(): Promise<void> {
    const { vaultKey } = this.#paths;
    await this.#step('the vault key is lost', async () => {
      await this.#controller.stop();
      await rename(vaultKey, `${vaultKey}.lost`);
      await this.#start();
      const { lost } = await this.#admin.call('GET', '/api/vault');
      expectSame('what is lost', lost, sealed);
    });
    await this.#step('the backup of the older version is restored', async () => {
      const call = 'POST /api/vault/restore';
      const { nonce } = await this.#admin.call('POST', '/api/vault/challenge');
      const [line = ''] = (await readFile(vaultKey, 'utf8')).split('\n');
      const proof = { keyProof: keyProof(Buffer.from(line, 'base64'), String(nonce), call) };
      const body = { passphrase, backup: this.#backup, ...proof };
      const { entries } = await this.#admin.call('POST', '/api/vault/restore', body);
      const results = (entries as { result: string }[]).map(({ result }) => result);
      expectSame('what became of it', results.join(), Array<string>(sealed).fill('restored').join());
    });
    for (const person of [this.#admin, this.#ada]) {
      await this.#step(`the VM of ${person.name} wakes without the older image`, () => person.wake());
      await this.#works(person);
    }
  }

  async close(): Promise<void> {
    for (const end of this.#endings.splice(0).toReversed()) await end();
  }

  async #step(what: string, work: () => Promise<unknown>): Promise<void> {
    const started = performance.now();
    try {
      await work();
    } catch (error) {
      const log = this.#controller?.log().split('\n').slice(-15).join('\n');
      throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}\n${log}`, { cause: error });
    }
    this.#request.tell(what, (performance.now() - started) / 1000);
  }

  async #stopBoth(): Promise<void> {
    await this.#step('both VMs stop in order', async () => {
      await this.#admin.call('POST', '/api/system/stop-vms');
      for (const person of this.#homes.keys()) await person.untilVm({ state: 'stopped' });
    });
  }

  async #start(program?: string): Promise<void> {
    const env = {
      AIRLOCK_UPSTREAM_PROXY: this.#internet.upstreamTemplate,
      AIRLOCK_PROXY_PORT_BASE: String(this.#internet.port),
      AIRLOCK_EXTRA_CA: join(this.#home, 'test-ca.pem'),
      AIRLOCK_CLI_IDLE_S: '7200',
      // Not by itself, which would be before the next start.
      ...(program === undefined && { AIRLOCK_CLI_UPDATE: 'manual' }),
    };
    this.#controller = await startController({ home: this.#home, env, ...(program !== undefined && { program }) });
  }
}

function expectSame(what: string, found: unknown, expected: unknown): void {
  if (found !== expected)
    throw new Error(`${what}: ${JSON.stringify(found)}, and ${JSON.stringify(expected)} was expected`);
}
