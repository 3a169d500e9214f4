/** The controller as a process, with its real parts and no VM. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SystemStatus } from '@airlock/contract/api';
import { CreateLoginTokenResponse } from '@airlock/contract/login';
import type { CanaryReport } from '@airlock/contract/canary';
import { writeCanaryReport } from '@airlock/contract/canary-file';
import { homePaths } from '@airlock/contract/home';
import { run } from '@airlock/contract/process';

const program = createRequire(import.meta.url).resolve('@airlock/controller/main');
let home: string;
const skip = await run('qemu-system-x86_64', ['--version']).then(
  () => '',
  (error: unknown) => `skipped: ${String(error)}`,
);
const running = new Set<Started>();

interface Started {
  lines: string[];
  errors(): string;
  /** The ready line's URL, or undefined when it ended before. */
  ready: Promise<string | undefined>;
  exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
  pid: number;
}

function start(env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env.PATH, AIRLOCK_HOME: home, AIRLOCK_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const out = createInterface(child.stdout).on('line', (line) => lines.push(line));
  const exit = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Awaited<Started['exit']>);
  const ready = new Promise<string | undefined>((resolve) => {
    out.on('line', (line) => line.startsWith('Airlock is ready: ') && resolve(line.slice(18)));
    void exit.then(() => resolve(undefined));
  });
  const started = {
    lines,
    errors: () => errors,
    ready,
    exit,
    kill: (s: NodeJS.Signals) => void child.kill(s),
    pid: child.pid ?? 0,
  };
  running.add(started);
  return started;
}

async function databaseProcesses(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(join(home, 'db', 'data')));
}

afterEach(async () => {
  for (const one of running) one.kill('SIGKILL');
  await Promise.all([...running].map((one) => one.exit));
  running.clear();
});

describe.skipIf(skip !== '')(`a controller ${skip}`, { timeout: 120_000 }, () => {
  let token: string;
  const get = async (url: string, path: string): Promise<unknown> =>
    (await fetch(new URL(path, url), { headers: { authorization: `Bearer ${token}` } })).json();

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'al-main-'));
    const first = start();
    await first.ready;
    token = (await readFile(join(home, 'token'), 'utf8')).trim();
    first.kill('SIGTERM');
    await first.exit;
  }, 120_000);
  afterAll(() => rm(home, { recursive: true }));

  test('says where it is, once; every other line is JSON; and the link signs in', async () => {
    const controller = start();
    const link = new URL((await controller.ready) ?? '');
    expect(link.pathname).toBe('/dashboard/login');
    expect(JSON.parse(await readFile(join(home, 'controller.json'), 'utf8'))).toEqual({
      url: link.origin,
      pid: controller.pid,
    });
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    const login = await fetch(new URL('/api/login', link), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: link.hash.slice('#token='.length) }),
    });
    expect(await login.json()).toMatchObject({ user: { name: 'admin', proxyPort: 10001 } });
    expect(SystemStatus.parse(await get(link.origin, '/api/system'))).toMatchObject({
      database: 'pglite',
      version: '0.1.0',
      imageId: null,
      lostVmFolders: [],
      clis: [],
      canary: null,
    });
    controller.kill('SIGTERM');
    await controller.exit;
    const others = controller.lines.filter((line) => !line.startsWith('Airlock is ready: '));
    expect(controller.lines.length - others.length).toBe(1);
    for (const line of others) expect(() => JSON.parse(line) as unknown).not.toThrow();
    expect(others.join('\n')).not.toContain(link.hash.slice(7));
    expect(others.join('\n')).not.toContain(token);
    expect(controller.errors()).toBe('');
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it in order within five seconds', async (signal) => {
    const controller = start();
    const url = (await controller.ready) ?? '';
    const begin = Date.now();
    controller.kill(signal);
    expect(await controller.exit).toEqual({ code: 0, signal: null });
    expect(Date.now() - begin).toBeLessThan(5_000);
    expect(await readdir(home)).not.toContain('controller.json');
    expect(await databaseProcesses()).toEqual([]);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  test('reports what the last trial of the newest CLIs found out', async () => {
    const report: CanaryReport = {
      at: new Date(0).toISOString(),
      problem: null,
      clis: [
        { id: 'codex', tried: '1.0.0', latest: '1.0.0', keptBack: null, signsIn: 'yes', failure: null, leftOut: [] },
      ],
    };
    const controller = start();
    const { origin } = new URL((await controller.ready) ?? '');
    const reported = async (): Promise<unknown> => SystemStatus.parse(await get(origin, '/api/system')).canary;
    await writeCanaryReport(home, report);
    expect(await reported()).toEqual(report);
    await rm(homePaths(home).canary);
    expect(await reported()).toBeNull();
  });

  test('after kill -9 it starts again at once, and a second one is refused', async () => {
    const killed = start();
    await killed.ready;
    killed.kill('SIGKILL');
    await killed.exit;
    const controller = start();
    const url = new URL((await controller.ready) ?? '').origin;
    const second = start();
    expect(await second.exit).toEqual({ code: 1, signal: null });
    expect(second.errors()).toContain(`process id ${controller.pid}`);
    expect(second.errors()).toContain('AIRLOCK_HOME');
    const link = await fetch(new URL('/api/login-tokens', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(CreateLoginTokenResponse.parse(await link.json()).url).toContain(`${url}/dashboard/login#token=`);
    expect(await databaseProcesses()).toHaveLength(1);
  });

  test('it ends when its database ends', async () => {
    const controller = start();
    await controller.ready;
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    for (const pid of pids) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.includes(join(home, 'db', 'data'))) process.kill(Number(pid), 'SIGKILL');
    }
    expect(await controller.exit).toEqual({ code: 1, signal: null });
    expect(controller.lines.join('\n')).toContain('The embedded database ended unexpectedly');
  });

  test('a promise that nobody waits for ends nothing when it fails, and is logged with its id; an uncaught throw does', async () => {
    const stray =
      "let n = 0; process.on('SIGUSR2', () => { const e = new Error('stray'); if (n++) throw e; Promise.reject(e); })";
    const controller = start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(stray)}` });
    const { origin } = new URL((await controller.ready) ?? '');
    controller.kill('SIGUSR2');
    await vi.waitFor(
      () => expect(controller.lines.join('\n')).toMatch(/"fault":"flt_\w+","msg":"a promise failed/),
      10_000,
    );
    expect(SystemStatus.parse(await get(origin, '/api/system'))).toMatchObject({ database: 'pglite' });
    controller.kill('SIGUSR2');
    expect(await controller.exit).toEqual({ code: 1, signal: null });
  });

  test('a taken port and wrong settings are said in words', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const controller = start({ AIRLOCK_PORT: String(port) });
    expect(await controller.exit).toEqual({ code: 1, signal: null });
    expect(controller.errors()).toContain(`127.0.0.1:${port}`);
    expect(controller.errors()).toContain('AIRLOCK_PORT');
    expect(controller.errors()).not.toContain('    at ');
    expect(await databaseProcesses()).toEqual([]);
    holder.close();
    const misspelled = start({ AIRLOCK_PROT: '1' });
    expect(await misspelled.exit).toEqual({ code: 1, signal: null });
    expect(misspelled.errors()).toContain('AIRLOCK_PROT');
  });
});
