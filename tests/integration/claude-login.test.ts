/** The unmodified Claude Code on this host signs in at the simulated Anthropic, with a browser as in a VM. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claudeCode } from '@airlock/contract/provider/claude-code';
import type { FileTexts, ProviderLogin, ProviderPrompt } from '@airlock/contract/provider/facts';
import { findHostCli, openHostCli, type CliRun, type HostCli } from '../support/host-cli.js';
import { until } from '../support/poll.js';

const login = claudeCode.login as ProviderLogin;
const canaryToken = 'CANARY-claude-login';
const { path: program, reason } = await findHostCli('claude', '@anthropic-ai/claude-code');

let cli: HostCli;

beforeEach(async (context) => {
  if (program === null) return context.skip(reason);
  cli = await openHostCli(program, canaryToken);
});
afterEach(async () => {
  if (program !== null) await cli.close();
});

async function found(home: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const { path } of login.credentialFiles) {
    const text = await readFile(join(home, path), 'utf8').catch(() => null);
    if (text !== null) files.set(path, text);
  }
  return files;
}

async function put(home: string, files: FileTexts): Promise<void> {
  for (const [path, text] of files) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), text, { mode: 0o600 });
  }
}

async function signIn(home: string, decision: 'Allow' | 'Deny'): Promise<CliRun> {
  const running = cli.start(login.argv, home, login.env);
  const page = await cli.decide(await cli.openedUrl(), decision);
  if (decision === 'Allow') await page.waitForURL(/platform\.claude\.com\/oauth\/code\/success/);
  return running.ended;
}

async function prove(home: string): Promise<boolean> {
  const { exitCode, output } = await cli.run(login.proof.argv, home);
  expect(output).not.toContain(canaryToken);
  return login.proof.accepts(exitCode ?? -1, output);
}

/** A prompt as the agent runs it: its exit code, what a person is told, and what it is told meanwhile. */
async function ask(
  home: string,
  text: string,
  env: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
) {
  const prompt = claudeCode.prompt as ProviderPrompt;
  const running = cli.start([...prompt.argv, ...more], home, { ...prompt.env, ...env });
  running.process.stdin?.end(text);
  const { exitCode, output } = await running.ended;
  const parts = output.split('\n').flatMap((line) => prompt.read(line) ?? []);
  const statuses = parts.flatMap((part) => ('status' in part ? [part.status] : []));
  return { exitCode, told: parts.filter((part) => 'error' in part), statuses };
}

const refreshTokenIn = (files: FileTexts): string => {
  const document = JSON.parse(files.get('.claude/.credentials.json') ?? '{}') as {
    claudeAiOauth?: { refreshToken?: string };
  };
  return document.claudeAiOauth?.refreshToken ?? '';
};

describe('claude', () => {
  it('ends with a credential that the CLI accepts, also where it is handed over, and renews it there', async () => {
    const home = await cli.home('browser-vm');
    expect(await signIn(home, 'Allow')).toMatchObject({ exitCode: 0 });
    const files = await found(home);
    expect(login.inspectCredential(files)).toEqual({ complete: true });
    expect(files.get('.claude/.credentials.json')).toContain(canaryToken);
    const handed = login.handOver?.(files) ?? files;

    const other = await cli.home('cli-vm');
    expect(await prove(other)).toBe(false);
    await put(other, handed);
    expect(await prove(other)).toBe(true);
    expect(await cli.run(['claude', '-p', 'hello'], other)).toMatchObject({
      exitCode: 0,
      output: expect.stringContaining('Simulated Claude heard: hello') as string,
    });
    const asked = cli.start(claudeCode.prompt?.argv ?? [], other);
    asked.process.stdin?.end('hello by stream');
    const lines = (await asked.ended).output.split('\n');
    const told = lines.map((line) => claudeCode.prompt?.read(line) ?? null).filter((part) => part !== null);
    expect(told.map((part) => ('text' in part ? part.text : JSON.stringify(part))).join('')).toBe(
      'Simulated Claude heard: hello by stream\n',
    );
    // Using it is no new credential; renewing it is one, and only the new refresh token lives on.
    expect(login.handOver?.(await found(other))).toEqual(handed);
    const { claudeProvider } = cli.internet;
    const old = refreshTokenIn(handed);
    await put(
      other,
      new Map([
        [
          '.claude/.credentials.json',
          (handed.get('.claude/.credentials.json') ?? '').replace(/"expiresAt": \d+/, '"expiresAt": 1'),
        ],
      ]),
    );
    expect(await cli.run(['claude', '-p', 'again'], other)).toMatchObject({ exitCode: 0 });
    const renewed = refreshTokenIn(await found(other));
    expect([claudeProvider.isLive(old), claudeProvider.isLive(renewed)]).toEqual([false, true]);
    expect(claudeProvider.counts).toMatchObject({ refreshes: 1, refreshesRefused: 0, unauthenticated: 0 });
  });

  it('takes a pasted code from a browser elsewhere, and none that is wrong', async () => {
    const home = await cli.home('browser-vm');
    const running = cli.start(login.argv, home, login.env);
    const shown = await until('the prompt', () => login.pasteCode?.prompt.test(running.output()) && running.output(), {
      timeoutMs: 60_000,
    });
    const page = await cli.decide(login.authorizeUrl.exec(shown)?.[0] ?? '', 'Allow');
    const code = await page.getByLabel('Code').inputValue();
    expect(code).toMatch(new RegExp(`^${login.pasteCode?.code.source}$`));
    running.process.stdin?.write('not-a-code\n');
    await until('the refusal', () => running.output().includes('full code'), { timeoutMs: 20_000 });
    running.process.stdin?.write(`${code}\n`);
    expect(await running.ended).toMatchObject({ exitCode: 0 });
    expect(login.inspectCredential(await found(home))).toEqual({ complete: true });
  });

  it('ends with an error, and no credential, when the person refuses', async () => {
    const home = await cli.home('browser-vm');
    const { exitCode, output } = await signIn(home, 'Deny');
    expect([exitCode, output]).toEqual([1, expect.stringContaining('No authorization code received')]);
    expect(login.inspectCredential(await found(home))).toMatchObject({ complete: false });
    expect(await prove(home)).toBe(false);
  });

  it('takes an API key in the form that Airlock writes', async () => {
    const home = await cli.home('cli-vm');
    const key = 'sk-ant-api03-canary-key-of-a-test-0001';
    cli.internet.claudeProvider.addApiKey(key);
    await put(home, login.apiKey?.files(key) ?? new Map());
    expect(await prove(home)).toBe(true);
    expect(await cli.run(['claude', '-p', 'hello'], home)).toMatchObject({ exitCode: 0 });
    expect(cli.internet.claudeProvider.counts).toMatchObject({ messages: 1, unauthenticated: 0 });
  });

  it.each([
    ['a wrong key', {}, /Failed to authenticate/, /401/],
    [
      'no way to the internet',
      { HTTPS_PROXY: 'http://127.0.0.1:9' },
      /Connection refused|Unable to connect/,
      /no answer/,
    ],
  ])('tells a prompt soon of %s, at each of a few tries', async (_what, env, why, meanwhile) => {
    const home = await cli.home('cli-vm');
    await put(home, login.apiKey?.files('sk-ant-api03-unknown-key-of-a-test-0001') ?? new Map());
    const { exitCode, told, statuses } = await ask(home, 'hello', env);
    expect([exitCode, told]).toEqual([1, [{ error: expect.stringMatching(why) as string }]]);
    // Their own ten take three minutes.
    expect(statuses).toEqual([1, 2, 3].map((n) => expect.stringMatching(`^trying again \\(${n} of 3\\)`) as string));
    for (const status of statuses) expect(status).toMatch(meanwhile);
  });

  it('tells of a run that ends before any answer why', async () => {
    const { told } = await ask(await cli.home('cli-vm'), 'hello', {}, [
      '--resume',
      '11111111-1111-4111-8111-111111111111',
    ]);
    expect(told).toEqual([{ error: expect.stringContaining('No conversation found') as string }]);
  });

  it('loses its login when everything was revoked: the CLI says so itself', async () => {
    const home = await cli.home('cli-vm');
    await signIn(home, 'Allow');
    cli.internet.claudeProvider.revokeAll();
    // As 2.1.197 says it, and as 2.1.332 does.
    expect(await cli.run(['claude', '-p', 'hello'], home)).toMatchObject({
      exitCode: 1,
      output: expect.stringMatching(/Not logged in|Failed to authenticate/) as string,
    });
    expect(await prove(home)).toBe(false);
  });
});
