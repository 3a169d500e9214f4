/** An unmodified CLI of this host, with a home of its own in front of a simulated internet, and the browser of its person. */
import { spawn, type ChildProcess } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { findExecutable, launchBrowser } from './browser.js';
import { createFakeInternet, type FakeInternet } from './fake-internet.js';
import { until } from './poll.js';

export interface CliRun {
  exitCode: number | null;
  output: string;
}

export interface RunningCli {
  process: ChildProcess;
  /** Everything that it said so far. */
  output(): string;
  ended: Promise<CliRun>;
}

export interface HostCli {
  internet: FakeInternet;
  /** A home of this name, made when it is not there. */
  home(name: string): Promise<string>;
  start(argv: readonly string[], home: string, env?: Readonly<Record<string, string>>): RunningCli;
  /** Runs it to its end, with nothing on its standard input. */
  run(argv: readonly string[], home: string): Promise<CliRun>;
  /** The address that the CLI gave to its browser. */
  openedUrl(): Promise<string>;
  /** The person opens the address, logs in and decides. */
  decide(url: string, decision: 'Allow' | 'Deny'): Promise<Page>;
  close(): Promise<void>;
}

/** Where `program` is, or null with the reason printed: then its tests cannot run here. */
export async function findHostCli(
  program: string,
  npmPackage: string,
): Promise<{ path: string | null; reason: string }> {
  const folder = process.env['TEST_CLIS'];
  const own = folder === undefined ? null : join(folder, 'node_modules/.bin', program);
  const isThere =
    own !== null &&
    (await access(own).then(
      () => true,
      () => false,
    ));
  const path = isThere ? own : await findExecutable(program).catch(() => null);
  const reason = `${program} is not on PATH, nor below TEST_CLIS; npm i --prefix DIR ${npmPackage} and TEST_CLIS=DIR run this test`;
  if (path === null) process.stderr.write(`Skipped: ${reason}\n`);
  return { path, reason };
}

export async function openHostCli(program: string, canaryToken: string): Promise<HostCli> {
  const internet = await createFakeInternet({ canaryToken });
  const browser: Browser = await launchBrowser({ proxyUrl: internet.upstreamUrl() });
  const folder = await mkdtemp(join(tmpdir(), 'airlock-host-cli-'));
  const opened = join(folder, 'opened');
  await writeFile(join(folder, 'ca.pem'), internet.caPem);
  await writeFile(join(folder, 'xdg-open'), `#!/bin/sh\nprintf %s "$1" > '${opened}'\n`);
  await chmod(join(folder, 'xdg-open'), 0o755);
  const children = new Set<ChildProcess>();

  function environment(home: string): NodeJS.ProcessEnv {
    const proxy = internet.upstreamUrl();
    return {
      PATH: [folder, dirname(program), process.env['PATH']].join(delimiter),
      HOME: home,
      DISPLAY: ':0',
      BROWSER: join(folder, 'xdg-open'),
      HTTPS_PROXY: proxy,
      HTTP_PROXY: proxy,
      NO_PROXY: 'localhost,127.0.0.1',
      SSL_CERT_FILE: join(folder, 'ca.pem'),
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
    };
  }

  function start(argv: readonly string[], home: string, env: Readonly<Record<string, string>> = {}): RunningCli {
    const child = spawn(program, argv.slice(1), { cwd: home, env: { ...environment(home), ...env }, stdio: 'pipe' });
    children.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = new Promise<CliRun>((resolve) => {
      child.once('close', (exitCode) => {
        children.delete(child);
        resolve({ exitCode, output });
      });
    });
    return { process: child, output: () => output, ended };
  }

  return {
    internet,
    home: async (name) => {
      await mkdir(join(folder, name), { recursive: true });
      return join(folder, name);
    },
    start,
    run: async (argv, home) => {
      const running = start(argv, home);
      running.process.stdin?.end();
      return running.ended;
    },
    openedUrl: async () =>
      until('the CLI to open its browser', async () => readFile(opened, 'utf8').catch(() => null), {
        timeoutMs: 60_000,
      }),
    decide: async (url, decision) => {
      const page = await browser.newPage({ ignoreHTTPSErrors: true });
      await page.goto(url);
      await page.getByLabel('Email address').fill(internet.account.email);
      await page.getByLabel('Password').fill(internet.account.password);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: decision }).click();
      return page;
    },
    close: async () => {
      for (const child of children) child.kill('SIGKILL');
      await browser.close();
      await internet.close();
      await rm(folder, { recursive: true });
    },
  };
}
