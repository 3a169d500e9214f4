/** A person with a CLI VM, and what she does with it: by the API, and without schemas, because controllers of two versions answer. */
import type { ProviderId } from '@airlock/contract/provider/provider';
import { until } from '../support/poll.js';

export interface World {
  /** Of the controller that runs now. */
  url(): string;
  /** What each provider accepts. */
  keys: Readonly<Partial<Record<ProviderId, string>>>;
}

export type Answer = Record<string, unknown>;

/** Everything in the guest runs under emulation. */
const slowMs = 600_000;

export class Person {
  readonly name: string;
  readonly #token: string;
  readonly #world: World;

  constructor(name: string, token: string, world: World) {
    this.name = name;
    this.#token = token;
    this.#world = world;
  }

  /** @throws Error for an answer that is no success */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const text = await (await this.#fetch(method, path, body)).text();
    return text === '' ? {} : (JSON.parse(text) as Answer);
  }

  async #fetch(method: string, path: string, body?: unknown): Promise<Response> {
    const headers = {
      authorization: `Bearer ${this.#token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const response = await fetch(`${this.#world.url()}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(slowMs),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** Hands in an API key, until the CLI in the CLI VM has accepted it. */
  async connect(provider: ProviderId): Promise<void> {
    await this.call('PUT', `/api/credentials/${provider}/api-key`, { key: this.#world.keys[provider] });
    const isActive = async (): Promise<boolean> => {
      const { credentials } = await this.call('GET', '/api/credentials');
      const found = (credentials as Answer[]).find((credential) => credential['provider'] === provider);
      if (found?.['error']) throw new Error(JSON.stringify(found['error']));
      return found?.['state'] === 'active';
    };
    await until(`the key for ${provider} to be accepted`, isActive, { timeoutMs: slowMs, intervalMs: 500 });
  }

  async connectAll(): Promise<void> {
    for (const provider of this.#providers) await this.connect(provider);
  }

  get #providers(): ProviderId[] {
    return Object.keys(this.#world.keys) as ProviderId[];
  }

  async vm(): Promise<Answer> {
    const { vms } = await this.call('GET', '/api/vm');
    const { user } = await this.call('GET', '/api/me');
    const { id } = user as { id: string };
    const own = (vms as Answer[]).filter((vm) => vm['kind'] === 'cli' && vm['userId'] === id);
    if (own.length !== 1) throw new Error(`${this.name} has ${own.length} CLI VMs`);
    return own[0] ?? {};
  }

  async vmId(): Promise<string> {
    return String((await this.vm())['id']);
  }

  /** @throws Error when a member of the VM is another one */
  async requireVm(members: Answer): Promise<void> {
    const vm = await this.vm();
    if (!has(vm, members))
      throw new Error(`The CLI VM of ${this.name} is ${JSON.stringify(vm)}, and not ${JSON.stringify(members)}`);
  }

  /** Waits until the VM has these members. @throws Error when `update` is one of them, and the update fails */
  async untilVm(members: Answer): Promise<void> {
    const found = async (): Promise<boolean> => {
      const vm = await this.vm();
      const update = vm['update'] as Answer | null | undefined;
      if ('update' in members && update?.['state'] === 'failed')
        throw new Error(`The update failed: ${JSON.stringify(update['error'])}`);
      return has(vm, members);
    };
    const what = `the CLI VM of ${this.name} to be ${JSON.stringify(members)}`;
    await until(what, found, { timeoutMs: slowMs, intervalMs: 250 });
  }

  /** Each CLI says that it accepts its login. */
  async prove(): Promise<void> {
    const id = await this.vmId();
    for (const provider of this.#providers) {
      const result = await this.call('POST', `/api/vm/${id}/check`, { name: `proof_${provider}` });
      if (result['ok'] !== true) throw new Error(`The proof of ${provider}: ${String(result['output'])}`);
    }
  }

  // The oldest versions have neither of these.
  async stop(): Promise<void> {
    await this.call('POST', `/api/vm/${await this.vmId()}/stop`);
    await this.untilVm({ state: 'stopped' });
  }

  async wake(): Promise<void> {
    await this.call('POST', `/api/vm/${await this.vmId()}/start`);
    await this.untilVm({ state: 'running' });
  }

  /** Starts the VM where it stands still. */
  async ask(): Promise<void> {
    const prompt = `after the upgrade, ${this.name}`;
    const text = await (await this.#fetch('POST', '/api/vm/me/cli/prompt', { provider: 'codex', prompt })).text();
    if (!text.includes(prompt) || !text.includes('"exitCode":0')) throw new Error(text);
  }
}

const has = (vm: Answer, members: Answer): boolean =>
  Object.entries(members).every(([name, value]) => vm[name] === value);
