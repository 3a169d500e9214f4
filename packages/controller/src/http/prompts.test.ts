/** Prompts from the API down to an agent, which a small server plays; users, store and checks are real. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { deadlineHeader } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { guestProtocol, PromptRequest, desktopProtocol } from '@airlock/contract/guest';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import { createPrompts } from '../prompt/create.js';
import { silentLog } from '../store/testing.js';
import type { Server } from './deps.js';
import { useTestController, type TestController } from './testing/controller.js';

type Play = (response: ServerResponse, asked: PromptRequest) => void;

const c = useTestController();
let base: string;
let server: Server;
let agent: ReturnType<typeof createServer>;
let client: JsonClient;
/** What the agent does with the next prompt. */
let play: Play;
let asked: PromptRequest[];
/** VMs whose credentials were looked after. */
let synced: string[];
/** What was told of the ends of prompts. */
let heard: (string | null)[];
/** How long the runner is to let the agent take, in ms. */
let givenMs: number;
let folder: string;
/** Uses of the CLI VM that have begun and not ended. */
let uses: number;
/** What the agent understands. */
let protocol: number;
/** The CLI VM that is used now ends. */
let life: AbortController;
/** Something that the start of the CLI VM waits for, or fails with. */
let start: () => Promise<void>;

beforeAll(async () => {
  agent = createServer((request, response) => void answer(request, response));
  folder = await mkdtemp(join(tmpdir(), 'airlock-prompts-'));
  const socketPath = join(folder, 'r.sock');
  agent.listen(socketPath);
  await once(agent, 'listening');
  client = createJsonClient({ baseUrl: 'http://runner', socketPath, unreachable: 'runner_failed', name: 'the runner' });
  const prompts = createPrompts({
    vms: { ...c.vms, useCli, guest: async () => client, protocolOf: async () => protocol },
    custodian: {
      list: async () => c.credentials,
      sync: async (vmId) => (synced.push(vmId), []),
      listen: async () => async (failure) => void heard.push(failure),
    },
    settings: { AIRLOCK_PROMPT_TIMEOUT_S: 600 },
    log: silentLog,
  });
  ({ url: base, server } = await c.another({ prompts, heartbeatMs: 50 }));
}, 120_000);
afterAll(async () => {
  await server.close();
  await client.close();
  agent.closeAllConnections();
  agent.close();
  await rm(folder, { recursive: true });
}, 30_000);

beforeEach(() => {
  c.credentials.push({
    ...{ provider: 'codex', generation: 1, state: 'active', method: 'login', updatedAt: new Date().toISOString() },
    ...{
      health: 'valid',
      healthReason: '',
      lastCheckedAt: null,
      expiresAt: null,
      holderVmId: null,
      copy: 'newest',
      copyReason: '',
    },
    error: null,
  });
  asked = [];
  synced = [];
  heard = [];
  uses = 0;
  protocol = guestProtocol;
  life = new AbortController();
  start = async () => undefined;
  play = (response) => response.end('{"exitCode":0}\n');
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const prompt = PromptRequest.parse(JSON.parse(body));
  asked.push(prompt);
  givenMs = Number(request.headers[deadlineHeader]);
  response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
  play(response, prompt);
}

async function useCli(userId: string, onProgress: (text: string) => void) {
  onProgress('starting');
  await start();
  uses += 1;
  const vm = await c.vms.cliOf(userId);
  if (!vm) throw new AppError('not_found', 'There is none.');
  return { vm, ended: life.signal, release: async () => void (uses -= 1) };
}

const body = { provider: 'codex', prompt: 'hello' };
const post = (id: string, options: Parameters<TestController['call']>[2] = {}) =>
  c.call('POST', `/api/vm/${id}/cli/prompt`, { base, token: c.ada.token, body, ...options });
const events = (text: string): unknown[] =>
  text
    .split('\n\n')
    .filter((block) => block.startsWith('data: {'))
    .map((block) => JSON.parse(block.slice('data: '.length)) as unknown);

/** A call whose answer is read piece by piece. */
async function open(signal: AbortSignal) {
  const response = await fetch(new URL('/api/vm/me/cli/prompt', base), {
    method: 'POST',
    signal,
    headers: { authorization: `Bearer ${c.ada.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    /** Reads on until the text is there. */
    until: async (wanted: string) => {
      while (!text.includes(wanted)) {
        const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) throw new Error(`The stream ended without ${wanted}: ${text}`);
        text += value;
      }
      return text;
    },
  };
}

test.each([desktopProtocol - 1, desktopProtocol])(
  'what the CLI tells while there is no answer is asked of agents that know of it, and is told: protocol %i',
  async (its) => {
    protocol = its;
    const vm = c.vms.add(c.ada.user.id, { kind: 'cli' });
    const status = 'trying again (1 of 3): no answer';
    play = (response, { statuses }) =>
      response.end(`${statuses ? `${JSON.stringify({ status })}\n` : ''}{"chunk":"hi"}\n{"exitCode":0}\n`);
    const told = events((await post(vm.id)).text);
    const own = { status: `Codex: ${status}` };
    expect(
      told.slice(
        told.findIndex(
          (event) => 'status' in (event as object) && (event as { status: string }).status === 'asking Codex',
        ) + 1,
      ),
    ).toEqual([...(its < desktopProtocol ? [] : [own]), ...[{ chunk: 'hi' }, { exitCode: 0 }]]);
    expect(Object.keys(asked[0] ?? {}).includes('statuses')).toBe(its >= desktopProtocol);
  },
);

test('its end is told to who answers for the login: a whole answer, or all that the CLI said of its failure', async () => {
  const vm = c.vms.add(c.ada.user.id, { kind: 'cli' });
  await post(vm.id);
  const details = { lastOutput: 'Why.' };
  const error = { code: 'prompt_failed', message: 'codex ended with exit code 1.', hint: 'Connect.', details };
  play = (response) => response.end(`${JSON.stringify({ error })}\n{"exitCode":1}\n`);
  await post(vm.id);
  expect(heard).toEqual([null, 'codex ended with exit code 1.\nWhy.']);
});

test('the answer comes as events, and ends with DONE', async () => {
  const vm = c.vms.add(c.ada.user.id, { kind: 'cli' });
  play = (response) => response.end('{"chunk":"one\\n"}\n\n{"chunk":"two"}\n{"exitCode":0}\n');
  const { status, headers, text } = await post(vm.id, { body: { ...body, provider: 'openai', cwd: 'work/a' } });
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/event-stream');
  expect(headers.get('cache-control')).toBe('no-store');
  const told = [{ chunk: 'one\n' }, { chunk: 'two' }, { exitCode: 0 }];
  expect(events(text)).toEqual([{ status: 'CLI VM: starting' }, { status: 'asking Codex' }, ...told]);
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  expect(asked).toEqual([{ provider: 'codex', prompt: 'hello', timeoutMs: 600_000, cwd: 'work/a', statuses: true }]);
  // The runner lets the agent have as long as the controller waits.
  expect(givenMs).toBe(660_000);
  await expect.poll(() => uses).toBe(0);
  expect(synced).toEqual([vm.id]);
});

test('each event is there at once, comments keep the connection, and the start of the VM is told', async () => {
  c.vms.add(c.ada.user.id, { kind: 'cli', state: 'stopped' });
  let started = (): void => undefined;
  start = () => new Promise((resolve) => (started = resolve));
  let agentSays = (_text: string): void => undefined;
  play = (response) => (agentSays = (text) => void response.write(text));
  const stream = await open(AbortSignal.timeout(10_000));
  await stream.until('starting the CLI VM');
  await stream.until(': still here');
  started();
  await stream.until('asking Codex');
  await expect.poll(() => asked.length).toBe(1);
  agentSays('{"chunk":"first"}\n');
  await stream.until('first');
  agentSays('{"exitCode":3}\n');
  expect(await stream.until('[DONE]')).toContain('data: {"exitCode":3}\n\ndata: [DONE]');
});

test('hanging up cancels the prompt in the VM, and the use of the VM ends', async () => {
  c.vms.add(c.ada.user.id, { kind: 'cli' });
  let hungUp = false;
  play = (response) => {
    response.once('close', () => (hungUp = true));
    response.write('{"chunk":"first"}\n');
  };
  const cancel = new AbortController();
  const stream = await open(cancel.signal);
  await stream.until('first');
  expect(uses).toBe(1);
  cancel.abort();
  await expect.poll(() => [hungUp, uses]).toEqual([true, 0]);
});

test('no more is taken from the VM than the caller takes', async () => {
  c.vms.add(c.ada.user.id, { kind: 'cli' });
  const line = `{"chunk":"${'x'.repeat(16_000)}"}\n`;
  let written = 0;
  let isFull = false;
  play = (response) => {
    const more = (): void => {
      while (written < 200_000_000 && response.write(line)) written += line.length;
      isFull = written < 200_000_000;
      response.once('drain', () => {
        isFull = false;
        more();
      });
    };
    more();
  };
  const cancel = new AbortController();
  const stream = await open(cancel.signal);
  await stream.until('xxx');
  // Full, and nothing moves any more: what lies between is in sockets and pipes.
  let before = -1;
  const stands = (): boolean => {
    const stood = isFull && written === before;
    before = written;
    return stood;
  };
  await expect.poll(stands, { interval: 500, timeout: 10_000 }).toBe(true);
  expect(written).toBeLessThan(50_000_000);
  cancel.abort();
  await expect.poll(() => uses).toBe(0);
}, 20_000);

test.each<[string, Play, unknown[]]>([
  ['a VM that is lost', (response) => response.destroy(), [{ error: { code: 'runner_failed' } }, { exitCode: null }]],
  ['an answer without end', (response) => response.end(), [{ error: { code: 'vm_lost' } }, { exitCode: null }]],
  [
    'an answer outside of the protocol',
    (response) => response.end('{"secret":"x"}\n'),
    [{ error: { code: 'internal' } }, { exitCode: null }],
  ],
  [
    'a CLI that fails',
    (response) => response.end('{"error":{"code":"prompt_failed","message":"no","hint":""}}\n{"exitCode":1}\n'),
    [{ error: { code: 'prompt_failed' } }, { exitCode: 1 }],
  ],
])('%s is told in the stream', async (_what, playThis, expected) => {
  c.vms.add(c.ada.user.id, { kind: 'cli' });
  play = playThis;
  const { status, text } = await post('me');
  expect(status).toBe(200);
  expect(events(text).slice(-expected.length)).toMatchObject(expected);
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
  await expect.poll(() => uses).toBe(0);
});

test('a VM that cannot start is told in the stream', async () => {
  c.vms.add(c.ada.user.id, { kind: 'cli', state: 'stopped' });
  start = async () => {
    throw new AppError('vm_boot_timeout', 'It did not come up.');
  };
  const { text } = await post('me');
  expect(events(text)).toMatchObject([
    { status: 'starting the CLI VM' },
    { status: 'CLI VM: starting' },
    { error: { code: 'vm_boot_timeout' } },
    { exitCode: null },
  ]);
});

test.each([
  ['although nothing has broken off yet', (): void => undefined],
  ['whatever the answer broke off with first', (response: ServerResponse): void => void response.destroy()],
])('a CLI VM that is stopped ends the prompt with the reason, %s', async (_when, breakOff) => {
  c.vms.add(c.ada.user.id, { kind: 'cli' });
  play = (response) => {
    response.write('{"chunk":"first"}\n', () => {
      life.abort(new AppError('vm_not_running', 'The VM was stopped.'));
      breakOff(response);
    });
  };
  const { text } = await post('me');
  expect(events(text).slice(-2)).toMatchObject([
    { error: { code: 'vm_not_running', message: 'The VM was stopped.' } },
    { exitCode: null },
  ]);
  await expect.poll(() => uses).toBe(0);
});

const codeOf = async (call: ReturnType<typeof post>): Promise<string> => {
  const { status, json } = await call;
  return `${status} ${json.error?.code}`;
};

test('refused is what is not the caller’s, or no CLI VM', async () => {
  const own = c.vms.add(c.ada.user.id, { kind: 'cli' });
  const browser = c.vms.add(c.ada.user.id, { kind: 'browser' });
  const gone = c.vms.add(c.ada.user.id, { kind: 'cli', state: 'destroyed' });
  expect(await codeOf(post(own.id, { token: c.bob.token }))).toBe('404 not_found');
  expect(await codeOf(post(own.id, { token: c.admin.token }))).toBe('403 forbidden');
  expect(await codeOf(post(browser.id))).toBe('403 forbidden');
  expect(await codeOf(post(gone.id))).toBe('409 vm_not_running');
  expect(await codeOf(post(newId('vm')))).toBe('404 not_found');
  const headers = { ...(await c.browserOf(c.ada)), origin: 'https://evil.example' };
  expect(await codeOf(c.call('POST', '/api/vm/me/cli/prompt', { base, headers, body }))).toBe('403 origin_refused');
  expect(asked).toEqual([]);
});

test('refused is a provider that is not connected: no VM is made or started for it', async () => {
  expect(await codeOf(post('me'))).toBe('409 not_connected');
  c.vms.add(c.ada.user.id, { kind: 'cli', state: 'stopped' });
  c.credentials[0] = { ...c.credentials[0], state: 'staged' } as never;
  expect(await codeOf(post('me'))).toBe('409 not_connected');
  expect(await codeOf(post('me', { body: { ...body, provider: 'claude' } }))).toMatch(/^409 /);
  expect(await codeOf(post('me', { body: { ...body, provider: 'sh' } }))).toBe('404 provider_unknown');
});

test.each([
  ['no text', { ...body, prompt: '' }, '400 invalid_request'],
  ['too long a text', { ...body, prompt: 'x'.repeat(200_001) }, '400 invalid_request'],
  ['a body that is far too long', { ...body, prompt: 'x'.repeat(3_000_000) }, '413 payload_too_large'],
  ['more time than there is', { ...body, timeoutS: 601 }, '400 invalid_request'],
  ['a place outside of the home', { ...body, cwd: '../etc' }, '400 invalid_request'],
  ['an argument', { ...body, argv: ['--dangerous'] }, '400 invalid_request'],
])('refused is %s', async (_what, wrong, expected) => {
  c.vms.add(c.ada.user.id, { kind: 'cli' });
  expect(await codeOf(post('me', { body: wrong }))).toBe(expected);
  expect(asked).toEqual([]);
});

test('the longest text of any characters is taken', async () => {
  c.vms.add(c.ada.user.id, { kind: 'cli' });
  const prompt = '\u0001'.repeat(200_000);
  expect((await post('me', { body: { ...body, prompt } })).status).toBe(200);
  expect(asked[0]?.prompt).toBe(prompt);
});

test('the end of the server ends prompts', async () => {
  c.vms.add(c.ada.user.id, { kind: 'cli' });
  const prompts = createPrompts({
    vms: { ...c.vms, useCli, guest: async () => client },
    custodian: { list: async () => c.credentials, sync: async () => [], listen: async () => async () => undefined },
    settings: { AIRLOCK_PROMPT_TIMEOUT_S: 600 },
    log: silentLog,
  });
  let begun = false;
  play = () => (begun = true);
  const told: unknown[] = [];
  const run = await prompts.prepare(c.ada.user.id, body);
  const work = run(async (event) => void told.push(event), new AbortController().signal);
  await expect.poll(() => begun).toBe(true);
  await prompts.close();
  await work;
  expect(told.slice(-2)).toMatchObject([{ error: { code: 'shutting_down' } }, { exitCode: null }]);
});
