/** What the test host has to be for all that is shown in it; run there by `npm run test:kvm`. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { run } from '@airlock/contract/process';
import { runProbe } from '@airlock/contract/run-probe';
import { firecrackerBinaries, firecrackerVersion } from '../support/firecracker-binaries.js';

const runnerMain = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
const airlock = fileURLToPath(new URL('../../packages/cli/bin/airlock.mjs', import.meta.url));

it('has a KVM with nested paging, which runs a guest', async () => {
  expect(await readFile('/sys/module/kvm_amd/parameters/npf', 'utf8')).toMatch(/^[1Y]/);
  const { kvm, countMs } = await runProbe({ program: runnerMain });
  process.stdout.write(`${kvm.reason}\n`);
  expect([kvm.present, typeof countMs.kvm]).toEqual([true, 'number']);
});

it('runs systemd, and control groups of version 2 alone, with every controller', async () => {
  expect((await readFile('/proc/1/comm', 'utf8')).trim()).toBe('systemd');
  const controllers = (await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8')).trim().split(' ');
  expect(controllers).toEqual(expect.arrayContaining(['cpuset', 'cpu', 'io', 'memory', 'pids']));
});

it('has the real Firecracker and its jailer, without a network', async () => {
  const { firecracker, jailer } = await firecrackerBinaries({ python: '/nowhere/python3' });
  for (const program of [firecracker, jailer])
    expect((await run(program, ['--version'])).stdout).toContain(`v${firecrackerVersion}`);
  expect((await run('ip', ['-oneline', 'link'])).stdout.trim().split('\n')).toHaveLength(1);
});

it('can run Airlock: doctor finds nothing that blocks', async () => {
  const { stdout, exitCode } = await run(process.execPath, [airlock, 'doctor'], {
    timeoutMs: 300_000,
    okCodes: [0, 1, 2],
  });
  process.stdout.write(stdout);
  expect(exitCode).toBe(0);
});
