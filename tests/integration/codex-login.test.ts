/** The unmodified Codex CLI on this host signs in at the simulated provider, with a browser as in a VM. */
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import type { Browser } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codex } from '@airlock/contract/provider/codex';
import { launchBrowser } from '../support/browser.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { findHostCli } from '../support/host-cli.js';
import { until } from '../support/poll.js';

const canaryToken = 'CANARY-codex-login';
const { path: program, reason } = await findHostCli('codex', '@openai/codex');

let home: string;
let internet: FakeInternet;
let browser: Browser;

beforeEach(async (context) => {
  if (program === null) context.skip(reason);
  internet = await createFakeInternet({ canaryToken });
  browser = await launchBrowser({ proxyUrl: internet.upstreamUrl() });
  home = await mkdtemp(join(tmpdir(), 'codex-login-test-'));
  await writeFile(join(home, 'ca.pem'), internet.caPem);
  await writeFile(join(home, 'open'), `#!/bin/sh\nprintf %s "$1" > '${home}/opened'\n`);
  await chmod(join(home, 'open'), 0o755);
});
afterEach(async () => {
  if (program === null) return;
  await browser.close();
  await internet.close();
  await rm(home, { recursive: true });
});

const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: home,
  BROWSER: join(home, 'open'),
  HTTPS_PROXY: internet.upstreamUrl(),
  HTTP_PROXY: internet.upstreamUrl(),
  NO_PROXY: 'localhost,127.0.0.1',
  SSL_CERT_FILE: join(home, 'ca.pem'),
  CODEX_CA_CERTIFICATE: join(home, 'ca.pem'),
});

/** Starts `codex login`, plays the person, and returns its exit code and the last page's title. */
async function signIn(decision: 'Allow' | 'Deny'): Promise<{ exitCode: number | null; page: string }> {
  // Of the login before.
  await rm(join(home, 'opened'), { force: true });
  const cli = spawn(program ?? '', ['login'], { env: environment(), stdio: 'ignore' });
  const exit = new Promise<number | null>((resolve) => cli.once('close', resolve));
  try {
    const url = await until(
      'the CLI to open its browser',
      async () => readFile(join(home, 'opened'), 'utf8').catch(() => null),
      {
        timeoutMs: 20_000,
      },
    );
    expect(url).toMatch(codex.login?.authorizeUrl ?? /^$/);
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(url);
    await page.keyboard.type(internet.account.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(internet.account.password);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: decision }).click();
    await page.waitForURL(/:145\d\//);
    return { page: await page.title(), exitCode: await exit };
  } finally {
    cli.kill();
    await exit;
  }
}

/** Starts `codex login --device-auth`; the person opens its page on a further device and types the code there. */
async function signInByCode(): Promise<{ exitCode: number | null; page: string }> {
  const { deviceCode } = codex.login ?? {};
  if (!deviceCode?.code) throw new Error('codex has no device code');
  const { code } = deviceCode;
  const cli = spawn(program ?? '', deviceCode.argv.slice(1), {
    env: environment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exit = new Promise<number | null>((resolve) => cli.once('close', resolve));
  let output = '';
  cli.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  try {
    const found = async (pattern: RegExp): Promise<string> =>
      until(`${pattern} on the terminal`, async () => pattern.exec(stripVTControlCharacters(output))?.[0], {
        timeoutMs: 20_000,
      });
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(await found(deviceCode.url));
    await page.keyboard.type(internet.account.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(internet.account.password);
    await page.keyboard.press('Enter');
    await page.getByLabel('Code').fill('WRNG-CODE2');
    await page.keyboard.press('Enter');
    await page.getByText('That code is not right').waitFor();
    await page.getByLabel('Code').fill(await found(code));
    await page.keyboard.press('Enter');
    await page.getByText('Signed in to Codex').waitFor();
    return { page: await page.title(), exitCode: await exit };
  } finally {
    cli.kill();
    await exit;
  }
}

async function status(): Promise<{ code: number; output: string }> {
  const run = promisify(execFile)(program ?? '', ['login', 'status'], { env: environment() });
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      output: error.stdout + error.stderr,
    }),
  );
}

describe('codex login', () => {
  it('ends with a credential that the CLI accepts', async () => {
    expect(await signIn('Allow')).toEqual({ exitCode: 0, page: 'Sign into Codex' });
    const file = await readFile(join(home, '.codex/auth.json'), 'utf8');
    expect(codex.login?.inspectCredential(new Map([['.codex/auth.json', file]]))).toEqual({ complete: true });
    expect(file).toContain(canaryToken);
    const { code, output } = await status();
    expect(codex.login?.proof.accepts(code, output)).toBe(true);
    expect(internet.requests.map(({ method, host, path }) => `${method} ${host}${path}`)).toEqual([
      'GET auth.openai.com/oauth/authorize',
      'GET auth.openai.com/log-in',
      'POST auth.openai.com/log-in',
      'GET auth.openai.com/consent',
      'POST auth.openai.com/consent',
      'POST auth.openai.com/oauth/token',
      'POST auth.openai.com/oauth/token',
    ]);
  });

  it('ends with an error, and no credential, when the person refuses', async () => {
    expect(await signIn('Deny')).toEqual({ exitCode: 1, page: 'Codex Sign-in Error' });
    const { code, output } = await status();
    expect(codex.login?.proof.accepts(code, output)).toBe(false);
  });

  it('ends with the same when the person finishes on a further device, by code', async () => {
    expect(await signInByCode()).toEqual({ exitCode: 0, page: 'Signed in - OpenAI' });
    const file = await readFile(join(home, '.codex/auth.json'), 'utf8');
    expect(codex.login?.inspectCredential(new Map([['.codex/auth.json', file]]))).toEqual({ complete: true });
    expect(internet.codexProvider.counts).toMatchObject({ deviceCodesIssued: 1, devicesApproved: 1, codesRedeemed: 1 });
    const { code, output } = await status();
    expect(codex.login?.proof.accepts(code, output)).toBe(true);
  });

  it('writes for an API key what Airlock writes for one', async () => {
    const key = 'sk-test-1234567890abcdefghijklmnop';
    const cli = spawn(program ?? '', ['login', '--with-api-key'], {
      env: environment(),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const exit = new Promise<number | null>((resolve) => cli.once('close', resolve));
    cli.stdin.end(key);
    expect(await exit).toBe(0);
    const file = await readFile(join(home, '.codex/auth.json'), 'utf8');
    const ours = codex.login?.apiKey?.files(key).get('.codex/auth.json') ?? '';
    expect(JSON.parse(ours)).toEqual(JSON.parse(file));
    const { code, output } = await status();
    expect(codex.login?.proof.accepts(code, output)).toBe(true);
  });
});
