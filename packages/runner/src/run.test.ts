/**
 * The runner as a process, with a guest of a few bytes: it fails with the right code and leaves nothing. How VMs end under each
 * driver is in tests/vm/driver.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createJsonClient } from '@airlock/contract/http-client';
import { isRunning } from '@airlock/contract/process';
import { RunnerStatus, type VmSpec } from '@airlock/contract/runner';
import { tinyKernel, tinyRootDisk, type TinyEnd } from './fixtures/tiny-guest.js';

// Each test starts several processes, on a machine that may be busy with VMs.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const main = new URL('../dist/main.js', import.meta.url).pathname;
const vmId = 'vm_0123456789abcdef';
const upstreamPassword = 'canary-upstream-password';
const agentToken = 'canary-agent-token-0123456789abcdef';

let root: string;
let folder: string;
let runners: ChildProcess[];

beforeEach(async () => {
  await stat(main).catch(() => {
    throw new Error('packages/runner is not compiled: run `npx tsc -b packages/runner` first');
  });
  // A comma and a space, because QEMU's options are separated by commas and nc's by spaces.
  root = await mkdtemp(join(tmpdir(), 'airlock-runner, test-'));
  folder = join(root, 'vm');
  runners = [];
  await mkdir(folder);
  await mkdir(join(root, 'secret'), { mode: 0o700 });
});

afterEach(async () => {
  for (const runner of runners.filter((child) => child.exitCode === null && child.signalCode === null)) {
    runner.kill('SIGKILL');
    await once(runner, 'exit');
  }
  await rm(root, { recursive: true });
});

async function prepare(message: string, end: TinyEnd, change: Partial<VmSpec> = {}): Promise<void> {
  const [kernel, initrd, rootfs] = ['vmlinux', 'initrd.img', 'rootfs.ext4'].map((name) => join(root, name));
  if (!kernel || !initrd || !rootfs) throw new Error('unreachable');
  await writeFile(kernel, tinyKernel(message, end));
  await writeFile(initrd, 'no initrd');
  await writeFile(rootfs, tinyRootDisk());
  const spec: VmSpec = {
    ...{ version: 2, vmId, kind: 'browser', epoch: 2, driver: 'qemu', accel: 'tcg', cpus: 1, memoryMib: 256 },
    ...{ kernel, initrd, drives: [{ id: 'root', path: rootfs, readOnly: true }], secretFolder: join(root, 'secret') },
    ...{ bootTimeoutMs: 60_000, directHosts: [], tscKhz: null },
    ...change,
  };
  await writeFile(join(folder, 'spec.json'), JSON.stringify(spec));
}

const guestConfig = () => ({
  ...{
    version: 1,
    vmId,
    kind: 'browser',
    sessionId: null,
    hostname: 'test',
    timezone: 'Etc/UTC',
    epochMs: Date.now(),
  },
  ...{
    entropy: Buffer.alloc(64).toString('base64'),
    agentToken,
    vncPassword: 'canaryvp',
    homeKey: null,
    extraCaPem: null,
  },
});

function start(): ChildProcess {
  const child = spawn(process.execPath, [main, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout?.resume();
  runners.push(child);
  const upstreamUrl = `http://user:${upstreamPassword}@127.0.0.1:1`;
  child.stdin?.end(
    JSON.stringify({ guestConfig: guestConfig(), upstream: { url: upstreamUrl, trialHosts: ['login.example'] } }),
  );
  return child;
}

const readStatus = async (): Promise<RunnerStatus> =>
  RunnerStatus.parse(JSON.parse(await readFile(join(folder, 'status.json'), 'utf8')));

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** The runner's status once `wanted` holds; its socket may not be there yet. */
async function statusWhen(wanted: (status: RunnerStatus) => boolean): Promise<RunnerStatus> {
  const client = createJsonClient({
    ...{
      baseUrl: 'http://runner',
      socketPath: join(folder, 'r.sock'),
      unreachable: 'runner_failed',
      name: 'the runner',
    },
  });
  try {
    return await expect
      .poll(async () => client.call('GET', '/status', RunnerStatus).catch(() => null), {
        timeout: 12_000,
        interval: 50,
      })
      .toSatisfy((status: RunnerStatus | null) => status !== null && wanted(status))
      .then(() => client.call('GET', '/status', RunnerStatus));
  } finally {
    await client.close();
  }
}

async function post(path: string, body: unknown): Promise<void> {
  const client = createJsonClient({
    ...{
      baseUrl: 'http://runner',
      socketPath: join(folder, 'r.sock'),
      unreachable: 'runner_failed',
      name: 'the runner',
    },
  });
  await client.call('POST', path, RunnerStatus, { body });
  await client.close();
}

/** Only records are left: no socket, no config drive, no VMM. */
async function expectReleased(status: RunnerStatus): Promise<void> {
  const files = (await readdir(folder)).sort();
  const records = ['runner.lock', 'runner.log', 'serial.log', 'spec.json', 'status.json', 'vmm.log'];
  expect(files.filter((name) => !records.includes(name))).toEqual([]);
  expect(await readdir(join(root, 'secret'))).toEqual([]);
  if (status.vmm) expect(await isRunning(status.vmm)).toBe(false);
  const written = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  for (const secret of [upstreamPassword, agentToken, 'canaryvp']) expect(written.join('\n')).not.toContain(secret);
}

describe('a VM that cannot boot', () => {
  it('a missing root is reported at once, with the last words', async () => {
    const message = 'ALERT!  LABEL=airlock-root does not exist.  Dropping to a shell!';
    await prepare(message, 'halt');
    expect(await exitCode(start())).toBe(1);
    const status = await readStatus();
    expect(status).toMatchObject({ phase: 'failed', error: { code: 'vm_boot_failed' } });
    expect(JSON.stringify(status.error?.details)).toContain(message);
    await expectReleased(status);
  });

  it('a silent guest ends in a timeout', async () => {
    await prepare('waiting', 'halt', { bootTimeoutMs: 2500 });
    expect(await exitCode(start())).toBe(1);
    const status = await readStatus();
    expect(status).toMatchObject({ phase: 'failed', error: { code: 'vm_boot_timeout' } });
    expect(JSON.stringify(status.error?.details)).toContain('waiting');
    // What it wrote on its console was something new.
    const [, waitedMs, quietMs] = /(\d+) ms after power-on, and (\d+) ms after/.exec(status.error?.message ?? '') ?? [];
    expect(Number(waitedMs)).toBeGreaterThanOrEqual(2500);
    expect(Number(quietMs)).toBeLessThan(Number(waitedMs));
    // The upstream of this test refuses connections, and that is told too.
    expect(status.egress.lastError).toMatchObject({ code: 'upstream_unreachable' });
    await expectReleased(status);
  });

  it.each([
    ['no file system', Buffer.alloc(4096), 'vm_boot_failed'],
    ['another label', tinyRootDisk('other'), 'vm_boot_failed'],
    ['a cut-off image', tinyRootDisk('airlock-root', 1000), 'vm_boot_failed'],
    ['no kernel', null, 'vmm_failed'],
  ])('%s', async (_name, rootfs, code) => {
    await prepare('', 'halt');
    await (rootfs ? writeFile(join(root, 'rootfs.ext4'), rootfs) : rm(join(root, 'vmlinux')));
    expect(await exitCode(start())).toBe(1);
    const status = await readStatus();
    expect(status).toMatchObject({ phase: 'failed', error: { code } });
    await expectReleased(status);
  });
});

describe('a VM that is stopped while it is made', () => {
  it.each(['r.sock', 'e.sock', `${vmId}.config`, 'serial.log', 'vmm.log', 'status.json'])(
    'leaves nothing: when %s has appeared',
    async (file) => {
      await prepare('running', 'halt');
      const runner = start();
      const watchers = [folder, join(root, 'secret')].map((place) =>
        watch(place, (_event, name) => void (name === file && runner.kill('SIGTERM'))),
      );
      expect(await exitCode(runner)).toBe(0);
      for (const watcher of watchers) watcher.close();
      await expectReleased(await readStatus());
    },
  );
});

describe('a running VM', () => {
  it('is stopped on request, and refuses a second runner and an older epoch', async () => {
    await prepare('running', 'halt');
    const first = start();
    const { vmm } = await statusWhen((status) => status.vmm !== null);
    expect(vmm && (await isRunning(vmm))).toBe(true);

    expect(await exitCode(start())).toBe(3);
    expect(await statusWhen(() => true)).toMatchObject({ phase: 'booting', runner: { pid: first.pid } });

    // A guest that never was configured is told nothing new; nor anything that is no setting, or is none of a running VM.
    const next = { timezone: 'Etc/UTC', extraCaPem: null, upstream: null, directHosts: ['.example'] };
    await expect(post('/configure', next)).rejects.toMatchObject({ code: 'vm_not_running' });
    const upstream = { url: 'socks5://user:canary@h:1', trialHosts: [] };
    for (const wrong of [{ hostname: 'other' }, { upstream }, { directHosts: ['*'] }, { timezone: '../x y' }]) {
      const refused = post('/configure', { ...next, ...wrong });
      await expect(refused).rejects.toMatchObject({ code: 'invalid_request' });
      await expect(refused).rejects.not.toThrow('canary');
    }

    await post('/stop', { graceMs: 0 });
    expect(await exitCode(first)).toBe(0);
    const status = await readStatus();
    expect(status).toMatchObject({ phase: 'stopped', error: null });
    await expectReleased(status);

    await prepare('running', 'halt', { epoch: 1 });
    expect(await exitCode(start())).toBe(3);
    expect(await readStatus()).toEqual(status);
  });
});

it('refuses secrets of a wrong form without repeating them', async () => {
  await prepare('', 'halt');
  const child = spawn(process.execPath, [main, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  runners.push(child);
  child.stdin.end(JSON.stringify({ upstream: { password: upstreamPassword } }));
  expect(await exitCode(child)).toBe(1);
  const status = await readStatus();
  expect(status).toMatchObject({ phase: 'failed', error: { code: 'invalid_request' } });
  const log = await readFile(join(folder, 'runner.log'), 'utf8');
  expect(log).toContain('invalid_request');
  expect(log + JSON.stringify(status)).not.toContain(upstreamPassword);
});
