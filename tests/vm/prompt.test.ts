/**
 * Prompts in a real CLI VM: the unmodified Codex, Claude Code and Gemini CLI answer through their simulated providers, piece by
 * piece, with settings that the VM took while it ran; a cancelled prompt ends; the VM is stopped by hand and when nobody uses it, and
 * the next prompt finds the login as it was, in a home that is encrypted on the disk.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { ApiKeyResponse, CredentialList, PromptEvent, Vm, VmList } from '@airlock/contract/api';
import { endOfEvents } from '@airlock/contract/event-stream';
import { CheckResult, CredentialBundle, GuestHealth } from '@airlock/contract/guest';
import { imageFiles } from '@airlock/contract/image';
import { createJsonClient, type JsonClient, type StreamingClient } from '@airlock/contract/http-client';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { run } from '@airlock/contract/process';
import { apiClient, endController } from '../support/api.js';
import { findCanary } from '../support/canary.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

/** Generous: everything in the guest runs under emulation. */
const bootMs = 300_000;
const answerMs = 240_000;
const apiKey = `sk-canary${randomBytes(12).toString('hex')}`;
const claudeKey = `sk-ant-canary${randomBytes(12).toString('hex')}`;
const geminiKey = `AIzaSy0canary__${randomBytes(12).toString('hex')}`;
const canaryToken = `canary${randomBytes(12).toString('hex')}`;

let before: Snapshot;
let home: TestHome;
let internet: FakeInternet;
let controller: RunningController;
let api: StreamingClient;
let vmId: string;
const endings: (() => Promise<unknown>)[] = [];

/** Held answers: what the model says after `wait`, once `goOn` is called; a caller who hangs up is noted. */
let goOn: () => void;
let hungUp: boolean;

async function* model(prompt: string, gone: AbortSignal): AsyncGenerator<string> {
  gone.addEventListener('abort', () => (hungUp = true));
  if (!prompt.includes('slowly')) return yield `You said: ${prompt}`;
  yield 'One moment.';
  await new Promise<void>((resolve) => {
    goOn = resolve;
    gone.addEventListener('abort', () => resolve());
  });
  yield `After a while: ${prompt}`;
}

/** What the first controller has not. */
const laterSettings = (): Record<string, string> => ({
  AIRLOCK_UPSTREAM_PROXY: internet.upstreamUrl(internet.ports[1]),
  AIRLOCK_EXTRA_CA: join(home.path, 'test-ca.pem'),
  AIRLOCK_TIMEZONE: 'Asia/Tokyo',
});

async function start(env: Record<string, string> = {}): Promise<void> {
  const settings = {
    AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
    AIRLOCK_PROXY_PORT_BASE: String(internet.port),
  };
  controller = await startController({ home: home.path, env: { ...settings, ...env } });
  api = apiClient(controller.url, controller.token);
}

async function restart(env: Record<string, string> = {}): Promise<void> {
  await api.close();
  await controller.stop();
  await start({ ...laterSettings(), ...env });
}

beforeAll(async () => {
  home = await createTestHome();
  endings.push(home.remove);
  before = await takeSnapshot({ home: home.path });
  internet = await createFakeInternet({ canaryToken, ports: [0, 0], codex: { apiKey, model } });
  endings.push(internet.close);
  internet.claudeProvider.addApiKey(claudeKey);
  internet.googleProvider.addApiKey(geminiKey);
  await writeFile(join(home.path, 'test-ca.pem'), internet.caPem);
  await start();
  endings.push(async () => endController(controller));
  endings.push(async () => api.close());
}, 180_000);

afterAll(() => close(), 180_000);

async function close(): Promise<void> {
  for (const end of endings.splice(0).toReversed()) await end();
}

const report = (what: string, since: number): void =>
  void process.stderr.write(`${what}: ${((performance.now() - since) / 1000).toFixed(1)} s\n`);

/** The events of a prompt as they come. */
async function* ask(
  prompt: string,
  more: { provider?: ProviderId; timeoutS?: number; signal?: AbortSignal } = {},
): AsyncGenerator<PromptEvent> {
  const { signal, ...rest } = more;
  const body = { provider: 'codex', prompt, ...rest };
  const options = { body, timeoutMs: answerMs, ...(signal && { signal }) };
  for await (const { data } of await api.events('POST', '/api/vm/me/cli/prompt', options)) {
    if (data !== endOfEvents) yield PromptEvent.parse(JSON.parse(data));
  }
}

async function answerTo(prompt: string, provider: ProviderId = 'codex'): Promise<PromptEvent[]> {
  const events: PromptEvent[] = [];
  for await (const event of ask(prompt, { provider })) events.push(event);
  return events;
}

const wrong = (key: string): string => `${key.slice(0, -2)}zz`;

/** Hands in an API key; answers what has become of it once the CLI in the CLI VM and its provider have been asked. */
async function handInKey(provider: ProviderId, key: string): Promise<string> {
  const path = `/api/credentials/${provider}/api-key`;
  const { generation } = await api.call('PUT', path, ApiKeyResponse, { body: { key } });
  return until(
    'the API key to be accepted or refused',
    async () => {
      const { credentials } = await api.call('GET', '/api/credentials', CredentialList);
      const mine = credentials.filter((credential) => credential.provider === provider);
      const isTaken = mine.some((one) => one.state === 'active' && one.generation >= generation);
      return mine.find(({ error }) => error)?.error?.message ?? (isTaken ? 'accepted' : null);
    },
    { timeoutMs: bootMs + answerMs, intervalMs: 500 },
  );
}

const vm = (): Promise<Vm> => api.call('GET', `/api/vm/${vmId}`, Vm);
const proof = (): Promise<CheckResult> =>
  api.call('POST', `/api/vm/${vmId}/check`, CheckResult, { body: { name: 'proof_codex' }, timeoutMs: answerMs });

/** The agent, as the controller reaches it. */
async function withAgent<T>(work: (agent: JsonClient) => Promise<T>): Promise<T> {
  const socketPath = homePaths(home.path).vmFile(vmId, 'socket');
  const agent = createJsonClient({ baseUrl: 'http://r', socketPath, unreachable: 'runner_failed', name: 'the runner' });
  try {
    return await work(agent);
  } finally {
    await agent.close();
  }
}

const bundle = (): Promise<CredentialBundle> =>
  withAgent((agent) => agent.call('GET', '/guest/credentials/codex', CredentialBundle));

describe('prompts in a CLI VM', () => {
  it(
    'have an API key that went through the vault',
    async () => {
      const since = performance.now();
      expect(await handInKey('codex', apiKey)).toBe('accepted');
      report('CLI VM made, started, API key delivered and proved', since);
      const { vms } = await api.call('GET', '/api/vm', VmList);
      vmId = vms.find(({ kind }) => kind === 'cli')?.id ?? '';
      expect(await vm()).toMatchObject({ state: 'running' });
    },
    bootMs + 2 * answerMs,
  );

  it(
    'find the authority, the upstream and the time zone of a controller that was started anew meanwhile',
    async () => {
      await restart();
      const asked = performance.now();
      expect(await answerTo('by key')).toEqual([
        { status: 'asking Codex' },
        { chunk: 'You said: by key\n' },
        { exitCode: 0 },
      ]);
      report('prompt by API key, and before it the new settings', asked);
      const used = internet.requests.filter(({ path }) => path === '/v1/responses');
      expect(used.map(({ port }) => port)).toEqual(used.map(() => internet.ports[1]));
      const health = await withAgent((agent) => agent.call('GET', '/guest/health', GuestHealth));
      expect(health).toMatchObject({ generation: 2, ready: true, error: null });
    },
    2 * answerMs,
  );

  it(
    'run with a ChatGPT login, and come piece by piece',
    async () => {
      const { access_token, refresh_token, id_token } = internet.codexProvider.signIn();
      const tokens = { id_token, access_token, refresh_token, account_id: '6d6d5a3e-0000-4000-8000-000000000001' };
      const auth = { auth_mode: 'chatgpt', OPENAI_API_KEY: null, tokens, last_refresh: new Date().toISOString() };
      const contentBase64 = Buffer.from(JSON.stringify(auth)).toString('base64');
      const body = { provider: 'codex', files: [{ path: '.codex/auth.json', mode: 0o600, contentBase64 }] };
      await withAgent((agent) => agent.call('PUT', '/guest/credentials/codex', null, { body }));
      expect(await proof()).toMatchObject({ ok: true, output: expect.stringContaining('ChatGPT') as string });
      const since = performance.now();
      const events = ask('slowly: $(touch /tmp/x) "quoted"');
      expect(await events.next()).toMatchObject({ value: { status: 'asking Codex' } });
      expect(await events.next()).toMatchObject({ value: { chunk: 'One moment.\n' } });
      report('prompt: from the call to the first piece', since);
      expect(internet.codexProvider.prompts.at(-1)).toContain('$(touch /tmp/x) "quoted"');
      goOn();
      expect(await events.next()).toMatchObject({
        value: { chunk: expect.stringContaining('After a while') as string },
      });
      expect(await events.next()).toMatchObject({ value: { exitCode: 0 } });
      const used = internet.requests.filter(({ path }) => path === '/backend-api/codex/responses');
      expect(used.map(({ port }) => port)).toEqual(used.map(() => internet.ports[1]));
    },
    3 * answerMs,
  );

  it(
    'end with everything they started when the caller hangs up, or their time is up',
    async () => {
      hungUp = false;
      const cancel = new AbortController();
      const events = ask('slowly', { signal: cancel.signal });
      await events.next();
      expect(await events.next()).toMatchObject({ value: { chunk: 'One moment.\n' } });
      const since = performance.now();
      cancel.abort();
      await until('the CLI to be gone from the provider', () => hungUp, { timeoutMs: 20_000 });
      report('cancel: from hanging up to the end of the CLI', since);
      const late: PromptEvent[] = [];
      for await (const event of ask('slowly', { timeoutS: 1 })) late.push(event);
      expect(late.slice(-2)).toMatchObject([{ error: { code: 'prompt_timeout' } }, { exitCode: null }]);
    },
    2 * answerMs,
  );

  it.each([
    [...(['codex', 'Codex', apiKey, 'You said: in $(id) "words"'] as const), 'OpenAI does not accept this API key.'],
    [
      ...(['claude_code', 'Claude Code', claudeKey, 'Simulated Claude heard: in $(id) "words"'] as const),
      'Anthropic does not accept this login.',
    ],
    [
      ...(['gemini_cli', 'Gemini CLI', geminiKey, 'You said: in $(id) "words"'] as const),
      'Google does not accept this API key for Gemini.',
    ],
  ] as const)(
    'run with an API key of %s in the same VM, once it is the right one',
    async (provider, name, key, answer, refusal) => {
      const since = performance.now();
      expect(await handInKey(provider, wrong(key))).toBe(refusal);
      report(`${name}: wrong API key refused`, since);
      expect(await handInKey(provider, key)).toBe('accepted');
      report(`${name}: API key delivered and proved`, since);
      const asked = performance.now();
      const events = await answerTo('in $(id) "words"', provider);
      report(`${name}: prompt, whole`, asked);
      expect([events[0], events.at(-1)]).toEqual([{ status: `asking ${name}` }, { exitCode: 0 }]);
      const chunks = events.slice(1, -1).map((event) => ('chunk' in event ? event.chunk : event));
      expect(chunks.join('').trim()).toBe(answer);
      // What the provider sends word by word comes so.
      if (provider === 'claude_code') expect(chunks.length).toBeGreaterThan(2);
    },
    3 * answerMs,
  );

  it(
    'end with the reason when the VM is stopped by hand, and find the login after it was started so',
    async () => {
      const kept = await bundle();
      const broken = ask('slowly');
      await broken.next();
      expect(await broken.next()).toMatchObject({ value: { chunk: 'One moment.\n' } });
      expect(await vm()).toMatchObject({ state: 'running', uses: 1 });
      const stopping = performance.now();
      const options = { timeoutMs: answerMs };
      expect(await api.call('POST', `/api/vm/${vmId}/stop`, Vm, options)).toMatchObject({ state: 'stopped' });
      report('stop by hand, in the middle of a prompt', stopping);
      const rest: PromptEvent[] = [];
      for await (const event of broken) rest.push(event);
      expect(rest.slice(-2)).toMatchObject([{ error: { code: 'vm_not_running' } }, { exitCode: null }]);
      await restart({ AIRLOCK_CLI_IDLE_S: '5' });
      expect(await vm()).toMatchObject({ state: 'stopped', uses: 0, error: null });
      const disk = homePaths(home.path).vmFile(vmId, 'disk');
      const { stdout } = await run('debugfs', ['-R', 'ls /home/airlock', disk]);
      expect(stdout).not.toContain('.codex');
      expect(
        await findCanary(
          { token: canaryToken, apiKey, claudeKey, geminiKey },
          { roots: [homePaths(home.path).vms], base: join(home.image, imageFiles.rootfs), processes: false },
        ),
      ).toEqual([]);

      const since = performance.now();
      expect(await api.call('POST', `/api/vm/${vmId}/start`, Vm, options)).toMatchObject({ state: 'starting' });
      // It waits for the same start.
      const events = await answerTo('back again');
      report('start by hand and a prompt, whole', since);
      const started = await vm();
      process.stderr.write(`of which VM, power-on to ready: ${(started.timings.readyMs ?? 0) / 1000} s\n`);
      expect(events[0]).toEqual({ status: 'starting the CLI VM' });
      expect(events.slice(-2)).toEqual([{ chunk: 'You said: back again\n' }, { exitCode: 0 }]);
      expect(await bundle()).toEqual(kept);
      expect((await proof()).ok).toBe(true);
      await until('it to be stopped as idle', async () => (await vm()).state === 'stopped', { timeoutMs: 90_000 });
    },
    bootMs + 3 * answerMs,
  );

  it('leave nothing behind', async () => {
    await close();
    await untilNoLeaks(before, 20_000);
  }, 120_000);
});
