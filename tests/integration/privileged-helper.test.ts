/** The privileged helper by itself: what it takes, what it refuses, and what is left when it is killed. */
import { access, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '@airlock/contract/ids';
import { jailPlaces, relaySockets } from '@airlock/contract/privileged';
import { run, systemPath } from '@airlock/contract/process';
import { firecrackerBinaries } from '../support/firecracker-binaries.js';
import { helperSkip, startHelper } from '../support/privileged-helper.js';
import { until } from '../support/poll.js';

const skip = helperSkip();
if (skip !== null) console.log(`skipped: ${skip}`);

describe.skipIf(skip !== null)('the helper', () => {
  let runFolder: string;
  beforeAll(async () => {
    runFolder = await mkdtemp('/run/airlock-t');
  });
  afterAll(() => rm(runFolder, { recursive: true }));

  const namespaces = async (): Promise<string> => (await run('ip', ['netns', 'list'])).stdout;
  /** Of VMs: the folder of user ids stays, and is empty. */
  const left = async (folder: string): Promise<string[]> => {
    const ids = await readdir(join(folder, 'ids')).catch(() => []);
    return [...(await readdir(folder)).filter((name) => name !== 'ids'), ...ids];
  };
  const network = (vmId: string): object => ({ verb: 'network', vmId });

  const start = (program: string): object => ({
    ...{ verb: 'start', program, arguments: [], files: [], kvm: false, memoryMib: 64, cpus: 1 },
  });

  it('starts no program that its administrator has not named', async () => {
    const helper = startHelper(runFolder);
    await helper.ask(network(newId('vm')));
    const answer = { error: { code: 'invalid_request', message: expect.stringContaining('sh is not among') } };
    expect(await helper.ask(start('sh'))).toMatchObject(answer);
    expect(await helper.close()).toBe(0);
  });

  it('tells what the host offers', async () => {
    const helper = startHelper(runFolder);
    expect(await helper.ask({ verb: 'status' })).toEqual({
      ...{ version: 1, problem: null },
      vmUsers: { first: 2_000_000_000, last: 2_000_000_999 },
    });
    expect(await helper.close()).toBe(0);
  });

  it.each([
    ['no JSON', 'make it so'],
    ['root for a VMM', { verb: 'network', vmId: 'vm_0123456789abcdef', vmUser: 0 }],
    ['an unknown verb', { verb: 'shell', command: 'id' }],
    ['a path for an id', network('../../etc')],
    ['an id of something else', network('ses_0123456789abcdef')],
    ['an id with more behind it', network('vm_0123456789abcdef; id')],
    ['a VMM before its network', start('none')],
    ['a program by its path', start('/bin/sh')],
    ['a file by its path', { ...start('none'), files: [{ of: 'path', path: '/etc/shadow' }] }],
    ['an image by a path', { ...start('none'), files: [{ of: 'image', imageId: '../x', file: 'kernel' }] }],
    ['a member that nobody knows', { ...network('vm_0123456789abcdef'), folder: '/etc' }],
  ])('refuses %s, and goes on', async (_, request) => {
    const helper = startHelper(runFolder);
    expect(await helper.ask(request)).toMatchObject({ error: { code: 'invalid_request' } });
    expect(await helper.ask({ verb: 'status' })).toMatchObject({ version: 1 });
    expect(await helper.close()).toBe(0);
    expect(await left(runFolder)).toEqual([]);
  });

  it('refuses a line without end', async () => {
    const helper = startHelper(runFolder);
    await expect(helper.ask('x'.repeat(80_000))).rejects.toThrow('ended without an answer');
    expect(await helper.exited).toBe(2);
  });

  it('serves one VM on a connection, and a VM to one connection', async () => {
    const [one, two] = [startHelper(runFolder), startHelper(runFolder)];
    const [vmId, other] = [newId('vm'), newId('vm')];
    expect(await one.ask(network(vmId))).toEqual({ folder: join(runFolder, vmId, 's') });
    expect(await one.ask(network(other))).toMatchObject({ error: { code: 'invalid_request' } });
    expect(await two.ask(network(vmId))).toMatchObject({ error: { code: 'runner_claim_refused' } });
    expect(await two.close()).toBe(0);
    expect(await namespaces()).toContain(vmId);
    expect(await one.close()).toBe(0);
    expect(await namespaces()).not.toContain(vmId);
    expect(await left(runFolder)).toEqual([]);
  });

  it('gives no user id to two VMs, nor one that is not its own, whoever asks', async () => {
    const [one, two] = [startHelper(runFolder), startHelper(runFolder)];
    const wanted = { vmUser: 2_000_000_007 };
    expect(await one.ask({ ...network(newId('vm')), ...wanted })).toHaveProperty('folder');
    for (const vmUser of [wanted.vmUser, 1_000_000]) {
      const answer = { error: { code: 'vm_id_refused', message: expect.stringContaining(String(vmUser)) } };
      expect(await two.ask({ ...network(newId('vm')), vmUser })).toMatchObject(answer);
    }
    await Promise.all([one.close(), two.close()]);
    expect(await left(runFolder)).toEqual([]);
  });

  it('leaves what it has made to the next one when it is killed, its relay not', async () => {
    const killed = startHelper(runFolder);
    const vmId = newId('vm');
    const { folder } = (await killed.ask(network(vmId))) as { folder: string };
    process.kill(killed.pid, 'SIGKILL');
    await killed.exited;
    const relays = async (): Promise<string> => (await run('pgrep', ['-f', folder], { okCodes: [0, 1] })).stdout;
    await until('the end of the relay', async () => (await relays()) === '', { timeoutMs: 10_000, intervalMs: 20 });
    expect(await namespaces()).toContain(vmId);
    // A link in the place of a socket is removed, and not what it leads to.
    await symlink('/etc/hostname', join(folder, relaySockets.gateway));
    const next = startHelper(runFolder);
    await next.ask({ verb: 'status' });
    expect(await next.close()).toBe(0);
    expect(await namespaces()).not.toContain(vmId);
    expect(await left(runFolder)).toEqual([]);
    await access('/etc/hostname');
  });

  it('says so where there is no space left, at whatever step that is, and leaves nothing', async () => {
    const codes = new Set<string | undefined>();
    // Names of files that there is space for: the folder itself is one.
    for (let names = 1; names < 12; names += 1) {
      const full = await mkdtemp('/run/airlock-t');
      await run('mount', ['-t', 'tmpfs', '-o', `nr_inodes=${names},size=1m`, 'airlock-full', full]);
      try {
        const helper = startHelper(full);
        const vmId = newId('vm');
        codes.add(((await helper.ask(network(vmId))) as { error?: { code: string } }).error?.code);
        expect(await helper.close()).toBe(0);
        expect(await namespaces()).not.toContain(vmId);
        expect(await left(full)).toEqual([]);
      } finally {
        await run('umount', [full]);
        await rm(full, { recursive: true });
      }
    }
    expect(codes).toContain('disk_full');
    expect(codes).toContain(undefined);
    expect([...codes].filter((code) => code !== 'disk_full' && code !== 'network_unavailable')).toEqual([undefined]);
  });

  it('says so where the space ends while a jail is made, and leaves nothing of that', async () => {
    const { firecracker } = await firecrackerBinaries();
    const codes = new Set<string | undefined>();
    for (let names = 9; names < 16 && !codes.has(undefined); names += 1) {
      const full = await mkdtemp('/run/airlock-t');
      await run('mount', ['-t', 'tmpfs', '-o', `nr_inodes=${names},size=1m`, 'airlock-full', full]);
      try {
        const helper = startHelper(full, { programs: firecracker });
        const made = (await helper.ask(network(newId('vm')))) as { folder?: string };
        const jail = { ...start('firecracker'), arguments: ['--api-sock', jailPlaces.api], names: [] };
        if (made.folder !== undefined)
          codes.add(((await helper.ask(jail)) as { error?: { code: string } }).error?.code);
        expect(await helper.close()).toBe(0);
        expect(await left(full)).toEqual([]);
        expect((await run('pgrep', ['-f', full], { okCodes: [0, 1] })).stdout).toBe('');
      } finally {
        await run('umount', [full]);
        await rm(full, { recursive: true });
      }
    }
    expect([...codes]).toEqual(['disk_full', undefined]);
  });

  it.each(['nft', 'bwrap', 'perl'])('says before anything is asked for that there is no %s', async (program) => {
    const path = (await run('which', [program], { env: { PATH: systemPath() } })).stdout.trim();
    const helper = startHelper(runFolder, { without: path });
    expect(await helper.ask({ verb: 'status' })).toMatchObject({ problem: expect.stringMatching(`\\b${program}\\b`) });
    expect(await helper.close()).toBe(0);
  });

  it.each([
    ['nftables', 'nft'],
    ['iproute2', 'ip'],
    ['setpriv', 'setpriv'],
  ])('says so without %s, and leaves nothing', async (_, program) => {
    const path = (await run('which', [program], { env: { PATH: systemPath() } })).stdout.trim();
    const helper = startHelper(runFolder, { without: path });
    const vmId = newId('vm');
    const answer = (await helper.ask(network(vmId))) as { error: { message: string } };
    expect(answer).toMatchObject({ error: { code: 'network_unavailable' } });
    expect(answer.error.message).toMatch(program === 'setpriv' ? /relay/ : new RegExp(`\\b${program}\\b`));
    expect(await helper.close()).toBe(0);
    expect(await namespaces()).not.toContain(vmId);
    expect(await left(runFolder)).toEqual([]);
  });
});
