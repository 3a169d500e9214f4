/** The unmodified Codex CLI under the real agent: the person signs in with a browser that does not reach it, and pastes its last address. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LoginStatus } from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import { createJsonClient, withPrefix, type JsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import { callbackOf } from '@airlock/contract/provider/callback';
import { codex } from '@airlock/contract/provider/codex';
import { refusalIn } from '@airlock/contract/provider/refusal';
import { runnerFiles } from '@airlock/contract/runner';
import { launchBrowser } from '../support/browser.js';
import { createCliVm, type CliVm } from '../support/custody/cli-vm.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { findHostCli } from '../support/host-cli.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

const { path: program, reason } = await findHostCli('codex', '@openai/codex');

let home: string;
let before: Snapshot;
let internet: FakeInternet;
let browser: Browser;
let vm: CliVm;
let agent: JsonClient;

beforeEach(async (context) => {
  if (program === null) return context.skip(reason);
  home = await mkdtemp(join(tmpdir(), 'airlock-own-browser-'));
  before = await takeSnapshot({ home, names: new RegExp(basename(home)) });
  internet = await createFakeInternet({ canaryToken: 'CANARY-own-browser' });
  // As on another computer: nothing listens there.
  const nowhere = ['127.0.0.1', 'localhost'].map((host) => `MAP ${host}:1455 127.0.0.1:1`).join(',');
  browser = await launchBrowser({ proxyUrl: internet.upstreamUrl(), arguments: [`--host-rules=${nowhere}`] });
  const vmId = newId('vm');
  vm = await createCliVm(home, vmId, join(home, 'disk'));
  await addCli(join(home, 'disk/bin/codex'));
  await vm.start();
  const socketPath = join(homePaths(home).vm(vmId), runnerFiles.socket);
  const runner = createJsonClient({ baseUrl: 'http://r', socketPath, unreachable: 'runner_failed', name: 'it' });
  agent = withPrefix(runner, '/guest');
});
afterEach(async () => {
  if (program === null) return;
  await agent.call('DELETE', '/login', LoginStatus);
  await Promise.all([vm.kill(), agent.close(), browser.close(), internet.close()]);
  await untilNoLeaks(before, 20_000).finally(() => rm(home, { recursive: true, force: true }));
});

/** The CLI of this host, with the way out that a VM would give it. */
async function addCli(path: string): Promise<void> {
  const ca = join(home, 'ca.pem');
  await writeFile(ca, internet.caPem);
  const proxy = internet.upstreamUrl();
  const values = { PATH: process.env['PATH'] ?? '', BROWSER: '/bin/true', HTTPS_PROXY: proxy, HTTP_PROXY: proxy };
  const lines = Object.entries({ ...values, SSL_CERT_FILE: ca, CODEX_CA_CERTIFICATE: ca, https_proxy: proxy }).map(
    ([name, value]) => `export ${name}='${value}'`,
  );
  await writeFile(path, ['#!/bin/sh', ...lines, `exec '${program}' "$@"`, ''].join('\n'), { mode: 0o755 });
}

const states = async (...wanted: LoginStatus['state'][]): Promise<LoginStatus> =>
  until(
    `the login to be ${wanted.join(' or ')}`,
    async () => {
      const status = await agent.call('GET', '/login', LoginStatus);
      return wanted.includes(status.state) ? status : null;
    },
    { timeoutMs: 60_000 },
  );
const paste = (code: string): Promise<LoginStatus> =>
  agent.call('POST', '/login/input', LoginStatus, { body: { code } });

/** What stands in the person's address bar at the end. */
async function signIn(decision: 'Allow' | 'Deny'): Promise<string> {
  await agent.call('POST', '/login', LoginStatus, { body: { provider: 'codex', method: 'callback' } });
  const { deviceCode, takesCode } = await states('browser_opened', 'failed');
  expect(takesCode).toBe(true);
  const url = deviceCode?.url ?? '';
  const callback = callbackOf(url)?.redirectUri ?? new URL('http://nowhere');
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  const end = page.waitForEvent('requestfailed', (request) => request.url().startsWith(callback.href));
  await page.goto(url);
  await page.getByLabel('Email address').fill(internet.account.email);
  await page.getByLabel('Password').fill(internet.account.password);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: decision }).click();
  return (await end).url();
}

it('ends with a credential, after an address of an earlier try that was refused', async () => {
  const earlier = await signIn('Allow');
  await agent.call('DELETE', '/login', LoginStatus);
  const address = await signIn('Allow');
  await expect(paste(earlier)).rejects.toMatchObject({
    ...{ code: 'invalid_request', message: expect.stringContaining('an earlier try') as string },
  });
  await paste(address);
  expect(await states('succeeded', 'failed')).toMatchObject({ state: 'succeeded', exitCode: 0 });
  await expect(paste(address)).rejects.toMatchObject({ code: 'login_running' });
  expect(internet.codexProvider.counts).toMatchObject({ codesRedeemed: 1, codesRefused: 0 });
});

it('ends with the CLI’s own refusal when the person has refused', async () => {
  await paste(await signIn('Deny'));
  const { state, lastOutput } = await states('succeeded', 'failed');
  expect([state, refusalIn(codex.login, lastOutput)?.reason]).toEqual([
    'failed',
    'The sign-in failed on OpenAI’s page.',
  ]);
});
