/** The unmodified Gemini CLI on this host signs in at the simulated Google, with a browser as in a VM. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { geminiCli } from '@airlock/contract/provider/gemini-cli';
import type { ProviderLogin, ProviderPrompt } from '@airlock/contract/provider/facts';
import { refusalIn } from '@airlock/contract/provider/refusal';
import { findExecutable, launchBrowser } from '../support/browser.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { until } from '../support/poll.js';

const login = geminiCli.login as ProviderLogin;
const headless = geminiCli.prompt as ProviderPrompt;
const canaryToken = 'CANARY-gemini-login';
const program = await findExecutable('gemini').catch(() => null);
const skipReason =
  'gemini is not on PATH of this host; `npm i --prefix DIR @google/gemini-cli` and PATH=DIR/node_modules/.bin run this test';

if (program === null) process.stderr.write(`Skipped: ${skipReason}\n`);

let folder: string;
let internet: FakeInternet;
let browser: Browser;

beforeEach(async (context) => {
  if (program === null) context.skip(skipReason);
  internet = await createFakeInternet({ canaryToken });
  browser = await launchBrowser({ proxyUrl: internet.upstreamUrl() });
  folder = await mkdtemp(join(tmpdir(), 'gemini-login-test-'));
  await writeFile(join(folder, 'ca.pem'), internet.caPem);
  await writeFile(join(folder, 'xdg-open'), `#!/bin/sh\nprintf %s "$1" > '${folder}/opened'\n`);
  await chmod(join(folder, 'xdg-open'), 0o755);
});
afterEach(async () => {
  if (program === null) return;
  await browser.close();
  await internet.close();
  await rm(folder, { recursive: true });
});

interface Run {
  exitCode: number | null;
  output: string;
}

/** Runs a program at home in `home`; `onOutput` is called with all that it has said so far. */
async function runProgram(
  file: string,
  argv: readonly string[],
  home: string,
  env: ProviderLogin['env'],
  onOutput: (output: string, cli: ChildProcessWithoutNullStreams) => void,
): Promise<Run> {
  const proxy = internet.upstreamUrl();
  const cli = spawn(file, argv.slice(1), {
    cwd: home,
    env: {
      PATH: [folder, dirname(program ?? ''), process.env['PATH']].join(delimiter),
      HOME: home,
      DISPLAY: ':0',
      HTTPS_PROXY: proxy,
      HTTP_PROXY: proxy,
      https_proxy: proxy,
      http_proxy: proxy,
      NO_PROXY: 'localhost,127.0.0.1',
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
      ...env,
    },
    stdio: 'pipe',
  });
  let output = '';
  const take = (chunk: Buffer): void => {
    output += chunk.toString();
    onOutput(output, cli);
  };
  cli.stdout.on('data', take);
  cli.stderr.on('data', take);
  onOutput('', cli);
  const exitCode = await new Promise<number | null>((resolve) => cli.once('close', resolve));
  return { exitCode, output };
}

/** Runs gemini; Enter is pressed at each question of the provider's description. */
async function run(argv: readonly string[], home: string, env: ProviderLogin['env'], input = ''): Promise<Run> {
  const unanswered = new Set(login.answers);
  return runProgram(program ?? '', argv, home, env, (output, cli) => {
    // A login waits for an answer; anything else reads its input to the end.
    if (argv !== login.argv && output === '') cli.stdin.end(input);
    for (const answer of unanswered) {
      if (!answer.question.test(output)) continue;
      unanswered.delete(answer);
      cli.stdin.write(answer.keys);
    }
  });
}

/** Files below a home, as a login or a hand-over leaves them. */
async function put(home: string, files: Iterable<readonly [path: string, text: string]>): Promise<void> {
  for (const [path, text] of files) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), text, { mode: 0o600 });
  }
}

async function found(home: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const { path } of login.credentialFiles) {
    const text = await readFile(join(home, path), 'utf8').catch(() => null);
    if (text !== null) files.set(path, text);
  }
  return files;
}

/** Starts the login and plays the person. */
async function signIn(home: string, decision: 'Allow' | 'Deny'): Promise<Run & { page: string }> {
  await put(
    home,
    (login.before ?? []).map(({ path, text }) => [path, text] as const),
  );
  const ended = run(login.argv, home, login.env);
  const opened = async (): Promise<string | null> => readFile(join(folder, 'opened'), 'utf8').catch(() => null);
  const url = await until('the CLI to open its browser', opened, { timeoutMs: 60_000 });
  expect(url).toMatch(login.authorizeUrl);
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(url);
  await page.keyboard.type(internet.account.email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(internet.account.password);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: decision }).click();
  await page.waitForURL(/developers\.google\.com/);
  return { page: await page.title(), ...(await ended) };
}

async function prove(home: string): Promise<boolean> {
  const { exitCode, output } = await run(login.proof.argv, home, login.proof.env);
  expect(output).not.toContain(canaryToken);
  return login.proof.accepts(exitCode ?? -1, output);
}

/** What the CLI answers to a prompt, as the person would read it. */
async function answerTo(prompt: string, home: string): Promise<string> {
  const { exitCode, output } = await run(headless.argv, home, headless.env, prompt);
  expect(exitCode).toBe(0);
  return output
    .split('\n')
    .map((line) => headless.read(line) ?? {})
    .map((part) => ('text' in part ? part.text : ''))
    .join('');
}

describe('gemini', () => {
  it('ends by itself with a credential that the CLI accepts, where it is handed over too, and renews', async () => {
    const home = join(folder, 'browser-vm');
    expect(await signIn(home, 'Allow')).toMatchObject({ exitCode: 0, page: 'Authentication successful - Google' });
    const files = await found(home);
    expect(login.inspectCredential(files)).toEqual({ complete: true });
    expect(files.get('.gemini/oauth_creds.json')).toContain(canaryToken);
    expect(internet.googleProvider.counts).toMatchObject({
      codesRedeemed: 1,
      onboardings: 1,
      refreshes: 0,
      prompts: 0,
    });

    const other = join(folder, 'cli-vm');
    const handed = login.handOver?.(files) ?? files;
    await put(other, handed);
    expect(await prove(other)).toBe(true);
    expect(internet.googleProvider.counts).toMatchObject({ refreshes: 0, unauthenticated: 0, prompts: 0 });

    expect(await answerTo('Good morning.', other)).toContain('Good morning.');
    expect(internet.googleProvider.counts.prompts).toBeGreaterThan(0);

    const stale = (handed.get('.gemini/oauth_creds.json') ?? '').replace(/"expiry_date": \d+/, '"expiry_date": 1');
    await put(other, [['.gemini/oauth_creds.json', stale]]);
    expect(await prove(other)).toBe(true);
    expect(internet.googleProvider.counts).toMatchObject({ refreshes: 1, refreshesRefused: 0 });
    const renewed = await found(other);
    expect(login.inspectCredential(renewed)).toEqual({ complete: true });
    expect(renewed.get('.gemini/oauth_creds.json')).not.toBe(stale);

    internet.googleProvider.revokeAll();
    expect(await prove(other)).toBe(false);
  }, 180_000);

  it('ends with the reason, and no credential, when the person refuses', async () => {
    const home = join(folder, 'home');
    const { output, page } = await signIn(home, 'Deny');
    expect(page).toBe('Authentication failed - Google');
    expect(output).toContain('Google OAuth error: access_denied');
    expect(login.inspectCredential(await found(home)).complete).toBe(false);
  }, 90_000);

  it.each([
    ['individual', /individuals/, 'UNSUPPORTED_CLIENT'],
    ['location', /where the sign-in came from/, 'UNSUPPORTED_LOCATION'],
    ['age', /age/, 'RESTRICTED_AGE'],
    ['workspace', /needs a Google Cloud project/, 'ProjectIdRequiredError'],
  ] as const)(
    'ends well with a whole credential that Google refuses, and says why: %s',
    async (standing, reason, word) => {
      internet.googleProvider.setStanding(standing);
      const home = join(folder, 'home');
      const { exitCode, output } = await signIn(home, 'Allow');
      expect(exitCode).toBe(0);
      expect(login.inspectCredential(await found(home))).toEqual({ complete: true });
      expect(output).toContain(word);
      expect(refusalIn(login, output)?.reason).toMatch(reason);

      const proof = await run(login.proof.argv, home, login.proof.env);
      expect(login.proof.accepts(proof.exitCode ?? -1, proof.output)).toBe(false);
      expect(refusalIn(login, proof.output)?.reason).toMatch(reason);
    },
    90_000,
  );

  it('goes on with the login of a Workspace account once it knows a project, which travels with it', async () => {
    internet.googleProvider.setStanding('workspace');
    const home = join(folder, 'browser-vm');
    expect(refusalIn(login, (await signIn(home, 'Allow')).output)?.asks).toBe('project');
    const { file, variable } = login.settings?.[0] ?? { file: '', variable: '' };
    await put(home, [[file, `OTHER=x\n${variable}=ada-project-1\n`]]);
    const again = await run(login.argv, home, login.env);
    expect(again.exitCode).toBe(0);
    expect(refusalIn(login, again.output)).toBeUndefined();
    expect(internet.googleProvider.counts.codesRedeemed).toBe(1);

    const files = await found(home);
    expect(login.inspectCredential(files)).toEqual({ complete: true });
    const handed = login.handOver?.(files) ?? files;
    expect(handed.get(file)).toBe(`${variable}=ada-project-1\n`);
    const other = join(folder, 'cli-vm');
    await put(other, handed);
    expect(await prove(other)).toBe(true);
    expect(await answerTo('Good morning.', other)).toContain('Good morning.');
  }, 120_000);

  it('says nothing of an account that is to be verified but at a prompt, and its proof is known by that', async () => {
    internet.googleProvider.setStanding('unverified');
    const home = join(folder, 'home');
    const { exitCode, output } = await signIn(home, 'Allow');
    expect(exitCode).toBe(0);
    expect(output).not.toContain('Error');
    const proof = await run(login.proof.argv, home, login.proof.env);
    expect(login.proof.accepts(proof.exitCode ?? -1, proof.output)).toBe(false);
    const prompt = await run(headless.argv, home, headless.env, 'hi');
    expect(prompt.output).toContain('Account validation required: Verify your account to continue.');
    for (const said of [proof.output, prompt.output]) expect(refusalIn(login, said)?.reason).toMatch(/verified/);
  }, 90_000);

  it('takes the code of a person who signs in on another device', async () => {
    const home = join(folder, 'home');
    await put(
      home,
      (login.before ?? []).map(({ path, text }) => [path, text] as const),
    );
    const { deviceCode, pasteCode } = login;
    if (!deviceCode || !pasteCode) throw new Error('gemini has no such login');
    // This login wants a terminal, which script(1) makes.
    const argv = ['script', '-qefc', deviceCode.argv.join(' '), '/dev/null'];
    let shown = '';
    let type = (_keys: string): void => undefined;
    const ended = runProgram(
      'script',
      argv,
      home,
      { ...deviceCode.env, TERM: 'dumb', COLUMNS: '2000' },
      (output, cli) => {
        shown = output;
        type = (keys) => void cli.stdin.write(keys);
      },
    );
    await until('the question for a code', async () => pasteCode.prompt.test(shown), { timeoutMs: 60_000 });
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(deviceCode.url.exec(shown)?.[0] ?? '');
    await page.keyboard.type(internet.account.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(internet.account.password);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForURL(/codeassist\.google\.com/);
    const code = pasteCode.code.exec(await page.locator('main').innerText())?.[0] ?? '';
    type(`${code}\r`);
    expect((await ended).exitCode).toBe(0);
    expect(login.inspectCredential(await found(home))).toEqual({ complete: true });
  }, 90_000);

  it('works with an API key that Airlock wrote', async () => {
    const key = 'AIzaSyTest_1234567890abcdefghijklmnop';
    internet.googleProvider.addApiKey(key);
    const home = join(folder, 'home');
    await put(home, login.apiKey?.files(key) ?? []);
    expect(await prove(home)).toBe(true);
    expect(await answerTo('Say hello.', home)).toContain('Say hello.');
    expect(internet.googleProvider.counts).toMatchObject({ unauthenticated: 0 });
    expect(internet.googleProvider.counts.prompts).toBeGreaterThan(0);
  }, 90_000);
});
