/** The unmodified Codex CLI on this host answers a prompt through the simulated provider, as the agent runs it in a CLI VM. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codex } from '@airlock/contract/provider/codex';
import type { ProviderPrompt } from '@airlock/contract/provider/facts';
import { findExecutable } from '../support/browser.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';

const runPrompt = codex.prompt as ProviderPrompt;
const apiKey = 'sk-test-0123456789abcdef';
const program = await findExecutable('codex').catch(() => null);
const skipReason =
  'codex is not on PATH of this host; `npm i --prefix DIR @openai/codex` and PATH=DIR/node_modules/.bin run this test';
if (program === null) process.stderr.write(`Skipped: ${skipReason}\n`);

let home: string;
let internet: FakeInternet;
let goOn: () => void;

async function* model(prompt: string): AsyncGenerator<string> {
  yield `First: ${prompt}`;
  await new Promise<void>((resolve) => (goOn = resolve));
  yield 'Second.';
}

beforeEach(async (context) => {
  if (program === null) context.skip(skipReason);
  internet = await createFakeInternet({ codex: { apiKey, model } });
  home = await mkdtemp(join(tmpdir(), 'codex-prompt-test-'));
  await mkdir(join(home, '.codex'));
  await writeFile(join(home, 'ca.pem'), internet.caPem);
});
afterEach(async () => {
  if (program === null) return;
  await internet.close();
  await rm(home, { recursive: true });
});

const login = (auth: object): Promise<void> =>
  writeFile(join(home, '.codex/auth.json'), JSON.stringify({ ...auth, last_refresh: new Date().toISOString() }));

/** What the CLI tells, in order; after the first part the model goes on. */
async function ask(prompt: string): Promise<{ told: unknown[]; exitCode: number | null }> {
  const [, ...args] = runPrompt.argv;
  const cli = spawn(program ?? '', args, {
    cwd: home,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      ...{ PATH: process.env['PATH'], HOME: home, ...runPrompt.env },
      ...{ HTTPS_PROXY: internet.upstreamUrl(), HTTP_PROXY: internet.upstreamUrl(), NO_PROXY: 'localhost,127.0.0.1' },
      ...{ SSL_CERT_FILE: join(home, 'ca.pem'), CODEX_CA_CERTIFICATE: join(home, 'ca.pem') },
    },
  });
  const exit = new Promise<number | null>((resolve) => cli.once('close', resolve));
  cli.stdin.end(prompt);
  const told: unknown[] = [];
  for await (const line of createInterface({ input: cli.stdout })) {
    const part = runPrompt.read(line);
    if (part) told.push(part);
    if (told.length === 1) goOn();
  }
  return { told, exitCode: await exit };
}

const answered = (prompt: string): object => ({
  told: [{ text: `First: ${prompt}\n` }, { text: 'Second.\n' }],
  exitCode: 0,
});

describe('codex exec', () => {
  it('answers by a ChatGPT login, each message as it comes', async () => {
    const { access_token, refresh_token, id_token } = internet.codexProvider.signIn();
    const tokens = { id_token, access_token, refresh_token, account_id: '6d6d5a3e-0000-4000-8000-000000000001' };
    await login({ auth_mode: 'chatgpt', OPENAI_API_KEY: null, tokens });
    expect(await ask('--help $(id) "quoted"')).toEqual(answered('--help $(id) "quoted"'));
    expect(internet.codexProvider.prompts).toEqual(['--help $(id) "quoted"']);
    expect(internet.requests.some(({ host, path }) => host + path === 'chatgpt.com/backend-api/codex/responses')).toBe(
      true,
    );
  });

  it('answers by an API key', async () => {
    await login({ auth_mode: 'apikey', OPENAI_API_KEY: apiKey });
    expect(await ask('by key')).toEqual(answered('by key'));
  });

  it('tells why when the provider does not accept the key', async () => {
    await login({ auth_mode: 'apikey', OPENAI_API_KEY: 'sk-wrong-0123456789abcdef' });
    goOn = () => undefined;
    const { told, exitCode } = await ask('by a wrong key');
    const again = Array.from({ length: 5 }, (_, at) => ({
      status: expect.stringMatching(`^reconnecting: ${at + 1}/5 \\(unexpected status 401`) as string,
    }));
    expect(told).toEqual([...again, { error: expect.stringMatching(/401|not valid/) as string }]);
    expect(exitCode).toBe(1);
    expect(internet.codexProvider.prompts).toEqual([]);
  });
});
