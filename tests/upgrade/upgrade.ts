/**
 * An upgrade with real VMs: two users get their CLI VMs from an older version, one runs and one is stopped; then this version
 * takes over the same AIRLOCK_HOME. What was made with the older image, kernel and agent must go on as it is.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { homePaths } from '@airlock/contract/home';
import { endController } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

export interface UpgradeRequest {
  /** main.js of the older controller. */
  oldProgram: string;
  /** The folder of images that the older version has made. */
  images: string;
  /** Called with each thing shown, and its seconds. */
  tell(what: string, seconds: number): void;
}

interface Person {
  name: string;
  token: string;
}

/** Everything in the guest runs under emulation. */
const slowMs = 400_000;
const passphrase = randomBytes(16).toString('hex');
const apiKey = `sk-test${randomBytes(12).toString('hex')}`;

/** @throws Error at the first thing that is not as it was */
export async function runUpgrade(request: UpgradeRequest): Promise<void> {
  const upgrade = new Upgrade(request);
  try {
    await upgrade.open();
    await upgrade.useOldVersion();
    await upgrade.takeOver();
    await upgrade.loseKeyAndRestore();
  } finally {
    await upgrade.close();
  }
}

class Upgrade {
  readonly #request: UpgradeRequest;
  readonly #endings: (() => Promise<unknown>)[] = [];
  #home = '';
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
    this.#before = await takeSnapshot({ home: this.#home });
    this.#endings.push(() => untilNoLeaks(this.#before, 20_000));
    this.#endings.push(() => rm(this.#home, { recursive: true }));
    await symlink(this.#request.images, homePaths(this.#home).images.folder);
    this.#internet = await createFakeInternet({ ports: await twoPorts(), codex: { apiKey } });
    this.#endings.push(this.#internet.close);
    await writeFile(join(this.#home, 'test-ca.pem'), this.#internet.caPem);
  }

  /** Two users with a CLI VM and a credential each: ada's is stopped, the admin's runs. */
  async useOldVersion(): Promise<void> {
    await this.#step('the older controller is ready', () => this.#start(this.#request.oldProgram));
    this.#endings.push(() => endController(this.#controller));
    this.#admin = { name: 'admin', token: this.#controller.token };
    const { token } = await this.#call(this.#admin, 'POST', '/api/users', { name: 'ada' });
    this.#ada = { name: 'ada', token: token as string };
    await this.#step('ada has a CLI VM with a credential', () => this.#connect(this.#ada));
    await this.#step('her VM is stopped', async () => {
      await this.#call(this.#admin, 'POST', '/api/system/stop-vms');
      await this.#untilState(this.#ada, 'stopped');
    });
    await this.#step('the admin has a CLI VM with a credential, which runs', () => this.#connect(this.#admin));
    await this.#step('a backup is made', async () => {
      const made = await this.#call(this.#admin, 'POST', '/api/vault/backup', { passphrase });
      this.#backup = made['backup'] as string;
    });
  }

  /** This version on the same home: the running VM is adopted, the stopped one starts from what it has. */
  async takeOver(): Promise<void> {
    const before = await this.#cliOf(this.#admin);
    await this.#step('the older controller ends, and its VM goes on', () => this.#controller.stop());
    await this.#step('this version is ready', () => this.#start());
    await this.#step('the running VM is adopted', async () => {
      const { id } = await this.#untilState(this.#admin, 'running');
      expectSame('the admin’s CLI VM', id, before['id']);
    });
    await this.#step('its CLI accepts its credential', () => this.#prove(this.#admin));
    await this.#step('and answers a prompt', () => this.#ask(this.#admin));
    await this.#step('the stopped VM starts from its disk, and answers a prompt', () => this.#ask(this.#ada));
    await this.#step('its CLI accepts its credential', () => this.#prove(this.#ada));
    await this.#step('both stop in order, the adopted one under its older runner', async () => {
      await this.#call(this.#admin, 'POST', '/api/system/stop-vms');
      for (const person of [this.#admin, this.#ada]) await this.#untilState(person, 'stopped');
    });
  }

  /** Without the vault's key, the older version's backup brings back the credentials and what opens the disks. */
  async loseKeyAndRestore(): Promise<void> {
    const { vaultKey } = homePaths(this.#home);
    await this.#step('the vault key is lost', async () => {
      await this.#controller.stop();
      await rename(vaultKey, `${vaultKey}.lost`);
      await this.#start();
      const { lost } = await this.#call(this.#admin, 'GET', '/api/vault');
      expectSame('what is lost', lost, 4);
    });
    await this.#step('the backup of the older version is restored', async () => {
      const body = { passphrase, backup: this.#backup };
      const { entries } = await this.#call(this.#admin, 'POST', '/api/vault/restore', body);
      const results = (entries as { result: string }[]).map(({ result }) => result);
      expectSame('what became of it', results.join(), 'restored,restored,restored,restored');
    });
    await this.#step('the VM that was adopted starts from its disk, and answers a prompt', () =>
      this.#ask(this.#admin),
    );
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

  async #start(program?: string): Promise<void> {
    const env = {
      AIRLOCK_UPSTREAM_PROXY: this.#internet.upstreamTemplate,
      AIRLOCK_PROXY_PORT_BASE: String(this.#internet.port),
      AIRLOCK_EXTRA_CA: join(this.#home, 'test-ca.pem'),
    };
    this.#controller = await startController({ home: this.#home, env, ...(program !== undefined && { program }) });
  }

  /** Without schemas: two versions answer. @throws Error for an answer that is no success */
  async #call(person: Person, method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const response = await this.#fetch(person, method, path, body);
    const text = await response.text();
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async #fetch({ token }: Person, method: string, path: string, body?: unknown): Promise<Response> {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const response = await fetch(`${this.#controller.url}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(slowMs),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** Hands in an API key, until the CLI in the CLI VM has accepted it. */
  async #connect(person: Person): Promise<void> {
    await this.#call(person, 'PUT', '/api/credentials/codex/api-key', { key: apiKey });
    const isActive = async (): Promise<boolean> => {
      const { credentials } = await this.#call(person, 'GET', '/api/credentials');
      const [found] = credentials as { state: string; error: unknown }[];
      if (found?.error) throw new Error(JSON.stringify(found.error));
      return found?.state === 'active';
    };
    await until('the API key to be accepted', isActive, { timeoutMs: slowMs, intervalMs: 500 });
  }

  async #cliOf(person: Person): Promise<Record<string, unknown>> {
    const { vms } = await this.#call(person, 'GET', '/api/vm');
    const { user } = await this.#call(person, 'GET', '/api/me');
    const { id } = user as { id: string };
    const mine = (vms as Record<string, unknown>[]).filter((vm) => vm['kind'] === 'cli');
    const own = mine.filter((vm) => vm['userId'] === id);
    if (own.length !== 1) throw new Error(`${person.name} has ${own.length} CLI VMs`);
    return own[0] ?? {};
  }

  async #untilState(person: Person, state: string): Promise<Record<string, unknown>> {
    const found = async () => {
      const vm = await this.#cliOf(person);
      return vm['state'] === state && vm;
    };
    return until(`the CLI VM of ${person.name} to be ${state}`, found, { timeoutMs: 120_000, intervalMs: 250 });
  }

  async #prove(person: Person): Promise<void> {
    const { id } = await this.#cliOf(person);
    const result = await this.#call(person, 'POST', `/api/vm/${String(id)}/check`, { name: 'proof_codex' });
    expectSame(`the proof (${String(result['output'])})`, result['ok'], true);
  }

  async #ask(person: Person): Promise<void> {
    const body = { provider: 'codex', prompt: 'after the upgrade' };
    const text = await (await this.#fetch(person, 'POST', '/api/vm/me/cli/prompt', body)).text();
    if (!text.includes('after the upgrade') || !text.includes('"exitCode":0')) throw new Error(text);
  }
}

function expectSame(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what} is ${String(found)}, and ${String(expected)} was expected`);
}

/** Two ports in a row that are free: each user has the one after the user before. */
async function twoPorts(): Promise<[number, number]> {
  for (;;) {
    const first = createServer().listen(0, '127.0.0.1');
    await once(first, 'listening');
    const { port } = first.address() as AddressInfo;
    const second = createServer().listen(port + 1, '127.0.0.1');
    const isFree = await once(second, 'listening').then(
      () => true,
      () => false,
    );
    for (const server of [first, second]) server.close();
    if (isFree) return [port, port + 1];
  }
}
