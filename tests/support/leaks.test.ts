import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run, systemPath } from '@airlock/contract/process';
import { assertNoLeaks, findLeaks, takeSnapshot, untilNoLeaks, type LeakScope } from './leaks.js';
import { until } from './poll.js';

let folder = '';
let scope: LeakScope;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leaks-test-'));
  scope = { home: folder, names: /leaks-test-planted/ };
});
afterAll(async () => rm(folder, { recursive: true }));

it('sees a child, a process that left the family but names the home, a port and a folder; and sees them gone', async () => {
  const before = await takeSnapshot(scope);
  const child = spawn('sleep', ['61'], { stdio: 'ignore' });
  // The shell ends at once, so that its own child belongs to nobody here; that says itself when it is more than a shell.
  await writeFile(join(folder, 'begun'), 'begun\n');
  const script = 'tail -f begun & echo "pid $!"';
  const orphan = spawn('sh', ['-c', script], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((resolve) => orphan.once('exit', resolve));
  let said = '';
  await new Promise<void>((resolve) => {
    orphan.stdout.on('data', (text: Buffer) => {
      said += text.toString();
      if (/begun\n/.test(said) && /pid \d+\n/.test(said)) resolve();
    });
  });
  const orphanPid = Number(/pid (\d+)/.exec(said)?.[1]);
  await ended;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const planted = join(tmpdir(), `leaks-test-planted-${process.pid}`);
  await mkdir(planted);
  try {
    const leaks = findLeaks(before, await takeSnapshot(scope));
    expect(leaks.some((leak) => leak.startsWith('processes') && leak.endsWith('sleep 61'))).toBe(true);
    expect(leaks.some((leak) => leak.startsWith('processes') && leak.endsWith('tail -f begun'))).toBe(true);
    expect(leaks).toContain(`listeningPorts: port ${port} of pid ${process.pid} (this test)`);
    expect(leaks).toContain(`paths: ${planted}`);
  } finally {
    child.kill();
    process.kill(orphanPid);
    server.close();
    await rm(planted, { recursive: true });
  }
  await untilNoLeaks(before, 5_000);
});

it('says what is left', async () => {
  const before = await takeSnapshot(scope);
  const after = { ...before, processes: [...before.processes, 'pid 7 (start 9): qemu'] };
  expect(() => assertNoLeaks(before, after)).toThrow('Left behind:\n  processes: pid 7 (start 9): qemu');
  expect(() => assertNoLeaks(before, before)).not.toThrow();
});

it.skipIf(process.getuid?.() !== 0)(
  'sees a process without a family in another network, an interface and a packet filter',
  async () => {
    const before = await takeSnapshot(scope);
    const name = `lt${process.pid}`;
    const script = 'unshare --net sleep 61 >/dev/null 2>&1 & echo $!';
    const pid = Number((await run('sh', ['-c', script], { cleanEnv: true, env: { PATH: systemPath() } })).stdout);
    try {
      await run('ip', ['tuntap', 'add', name, 'mode', 'tap']);
      await run('nft', ['add', 'table', 'inet', name]);
      const found = (): Promise<string[]> => takeSnapshot(scope).then((after) => findLeaks(before, after));
      await until('all of it to be seen', async () => (await found()).length === 3, {
        timeoutMs: 5_000,
        explain: async () => (await found()).join(),
      });
      expect((await found()).map((leak) => leak.replace(/pid .*:/, ''))).toEqual([
        ...['processes:  sleep 61', `interfaces: /sys/class/net/${name}`, `packetFilters: table inet ${name}`],
      ]);
    } finally {
      process.kill(pid, 'SIGKILL');
      await run('ip', ['link', 'delete', name]);
      await run('nft', ['delete', 'table', 'inet', name]);
    }
    await untilNoLeaks(before, 5_000);
  },
);
