/**
 * The home of a CLI VM on a disk of its own, in real VMs: a new one gets its encryption and its first files, a cut power leaves what
 * was written, it grows, and it may be the disk that once was the root, too. One that cannot be used ends the boot at once, and the
 * reason is told. In the same VM a program of the desktop user tries to become the agent. Each kind of that, and the disk that was both: TEST_UPDATE=all, as `npm run soak -- --only update` sets it.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CredentialBundle, GuestHealth, type GuestConfig } from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { imageFiles } from '@airlock/contract/image';
import { killExactly, run } from '@airlock/contract/process';
import type { RunnerStatus } from '@airlock/contract/runner';
import type { Engine } from '@airlock/controller/engine/engine';
import { createLocalEngine } from '@airlock/controller/engine/local';
import { shell, shellLogin, userShell, withShell } from '../support/guest-shell.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';
import { fillMemory, killAgent, killed, loot, startThief, tryAll } from './intruder.js';
import { findOffers, guestConfigOf, type Offer } from './driver/tiny-vm.js';

const bootMs = 240_000;
const graceMs = 60_000;
const everything = process.env['TEST_UPDATE'] === 'all';
const vmId = newId('vm');
const imageId = 'img_000000';
const homeKey = randomBytes(64).toString('base64');
const { signal } = new AbortController();

let before: Snapshot;
let home: TestHome;
let offer: Offer;
let engine: Engine;
/** Of the home. */
let disk: string;
let epoch = 0;

beforeAll(async () => {
  const usable = (await findOffers()).find(({ noLinux, network }) => noLinux === null && network === 'user');
  if (!usable) throw new Error('No driver runs VMs on this host.');
  offer = usable;
  home = await createTestHome();
  before = await takeSnapshot({ home: home.path });
  disk = homePaths(home.path).vmFile(vmId, 'disk');
  const initrd = join(home.path, imageFiles.initrd);
  await writeFile(initrd, withShell(await readFile(join(home.image, imageFiles.initrd))));
  const files = { initrd, kernel: join(home.image, imageFiles.kernel), rootfs: join(home.image, imageFiles.rootfs) };
  const settings = { AIRLOCK_HOME: home.path, AIRLOCK_SECRETS_ON_DISK: 'no' } as const;
  engine = createLocalEngine({ settings, imageFiles: async () => files, tscKhz: offer.tscKhz, helperSocket: null });
  await engine.createRoot(vmId, { number: 1, imageId }, { low: false, signal });
  await engine.createHome(vmId, 1, signal);
}, bootMs);

afterAll(async () => {
  await engine.stop(vmId, 0);
  await engine.close();
  await home.remove();
}, graceMs);

/** Starts the VM, and answers its status once it is ready or has failed. */
async function boot(change: { root?: number } & Partial<GuestConfig> = {}): Promise<RunnerStatus> {
  const { root = 1, ...config } = change;
  const { driver, accel } = offer;
  const plan = { vmId, imageId, kind: 'cli', epoch: (epoch += 1), driver, accel, cpus: 2, memoryMib: 1024 } as const;
  const more = { bootTimeoutMs: bootMs, directHosts: [], root, waits: false, low: false, vmUser: null };
  const guestConfig = { ...guestConfigOf(plan), vncPassword: null, homeKey, ...config };
  const since = performance.now();
  await engine.start({ ...plan, ...more }, { guestConfig, upstream: null });
  const settled = async (): Promise<RunnerStatus | undefined> => {
    const status = (await engine.status(vmId))?.status;
    return status && ['ready', 'failed'].includes(status.phase) ? status : undefined;
  };
  const status = await until('the VM to be ready or to fail', settled, { timeoutMs: bootMs });
  const seconds = ((performance.now() - since) / 1000).toFixed(1);
  report(`boot: ${status.error?.message ?? 'ready'} after ${seconds} s`);
  return status;
}

const report = (line: string): void => void process.stderr.write(`${line}\n`);

const inVm = (script: string): Promise<string> => shell(engine.client(vmId), script);
const deliver = (): Promise<void> =>
  engine.client(vmId).call('PUT', '/guest/credentials/codex', null, { body: shellLogin });
const delivered = (): Promise<CredentialBundle> =>
  engine.client(vmId).call('GET', '/guest/credentials/codex', CredentialBundle);

const contentOf = ({ files }: CredentialBundle): unknown =>
  JSON.parse(Buffer.from(files[0]?.contentBase64 ?? '', 'base64').toString());

const console = (): Promise<string> => readFile(homePaths(home.path).vmFile(vmId, 'serialLog'), 'latin1');
const health = (): Promise<GuestHealth> =>
  engine.client(vmId).call('GET', '/guest/health', GuestHealth, { timeoutMs: 5000 });
const isUp = (): Promise<boolean> =>
  health().then(
    ({ ready }) => ready,
    () => false,
  );

/** Asks the runner for the agent's health again and again; `end` tells whose health it was that came. */
function watchAgent(): { end(): Promise<string[]> } {
  const seen = new Set<string>();
  const over = new AbortController();
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      // An agent that has just begun does not know its VM yet, and one that is away answers nothing.
      const answer = await health().catch(() => null);
      if (answer?.vmId) seen.add(answer.vmId);
      await delay(100);
    }
  };
  const looking = look();
  return {
    end: async () => {
      over.abort();
      await looking;
      return [...seen];
    },
  };
}

/** On the host, in the file system of the home that no VM uses. */
const debugfs = async (command: string): Promise<string> => (await run('debugfs', ['-w', '-R', command, disk])).stdout;
const superblock = async (): Promise<string> => (await run('dumpe2fs', ['-h', disk])).stdout;

async function cutPower(): Promise<void> {
  const { vmm } = (await engine.status(vmId))?.status ?? {};
  if (!vmm) throw new Error('The VM has no VMM.');
  await killExactly(vmm);
  await engine.stop(vmId, 0);
}

/** How a boot must end, long before its time is up. */
const unusable = (message: RegExp): object => ({
  phase: 'failed',
  error: { code: 'home_unusable', message: expect.stringMatching(message) as string },
});

const files =
  'cd /home/airlock; find . -type f ! -name large | sort | xargs sha256sum; stat -c "%n %h %s %b %a %U" kept sparse';

describe('the home of a CLI VM', () => {
  let kept: string;

  it(
    'is encrypted and filled when it is new, and nobody reaches its disk beside it',
    async () => {
      expect(await boot()).toMatchObject({ phase: 'ready', error: null });
      await deliver();
      expect(
        await inVm(`cd /etc/skel; stat -c "%U %a" /home/airlock; find . -type f -exec cmp {} /home/airlock/{} ';'`),
      ).toBe('airlock 700\n');
      expect(await inVm('fscryptctl get_policy /home/airlock; findmnt -n -o OPTIONS /home/airlock')).toMatch(
        /Policy version: 2.*nosuid,nodev/s,
      );
      const asUser = 'setpriv --reuid=1000 --regid=1000 --clear-groups ls /var/lib/airlock/home 2>&1 || true';
      expect(await inVm(asUser)).toContain('Permission denied');
    },
    bootMs + graceMs,
  );

  it(
    'holds a program of the desktop user that does not become the agent, whatever ends the agent',
    async () => {
      const tried = await userShell(engine.client(vmId), `exec 2>/dev/null; set +e${tryAll}`);
      expect(tried).toBe('0\n0::/airlock.slice/programs\n');
      await inVm(startThief);
      const watch = watchAgent();
      const agent = 'pgrep -o -f /usr/lib/airlock/agent.cjs';
      const before = await inVm(agent);
      // The kernel may end the shell of this very script.
      await userShell(engine.client(vmId), fillMemory).catch((error: unknown) => report(String(error)));
      expect(await inVm(agent)).toBe(before);
      expect(await inVm('dmesg | grep -c oom-kill:constraint=CONSTRAINT_MEMCG')).not.toBe('0\n');
      // The end of this prompt may be lost with the agent.
      await inVm(killAgent(3)).catch((error: unknown) => report(String(error)));
      await until('the last kill', async () => (await console()).includes(killed), { timeoutMs: 2 * graceMs });
      await until('the agent to answer again', async () => isUp(), { timeoutMs: graceMs });
      expect(await inVm(agent)).not.toBe(before);
      expect(await inVm(`cat ${loot}; pkill -f /tmp/thief`)).toBe('tried\n');
      expect(await watch.end()).toEqual([vmId]);
    },
    bootMs,
  );

  it(
    'takes nothing more when it is full, and says what helps',
    async () => {
      await inVm(`cd /home/airlock; head -c 3000000 /dev/urandom >kept; ln kept hard; chown 1234 kept
        truncate -s 100M sparse; echo end >>sparse`);
      kept = await inVm(files);
      await inVm(
        'cd /home/airlock; fallocate -l $(($(stat -f -c "%a * %S" .))) large || true; cat /dev/zero >>large || true; sync',
      );
      await expect(deliver()).rejects.toMatchObject({
        code: 'disk_full',
        hint: expect.stringContaining('AIRLOCK_HOME_DISK_GIB') as string,
      });
      expect(contentOf(await delivered())).toEqual(contentOf(shellLogin));
    },
    bootMs,
  );

  it(
    'is the same after a cut power, and larger when it is to be',
    async () => {
      await cutPower();
      await engine.growHome(vmId, 2);
      expect(await boot()).toMatchObject({ phase: 'ready' });
      expect(await inVm(files)).toBe(kept);
      expect(await inVm('df -B1G --output=size /home/airlock | tail -n 1')).toMatch(/^ *2\n$/);
      await deliver();
    },
    bootMs + graceMs,
  );

  it(
    'is put away whole by a VM that shuts down, and shows no name outside',
    async () => {
      await engine.stop(vmId, graceMs);
      expect(await superblock()).toMatch(/Filesystem state: +clean/);
      expect(await superblock()).not.toContain('needs_recovery');
      expect(await debugfs('ls -p /home/airlock')).not.toMatch(/codex|kept|profile/);
    },
    2 * graceMs,
  );

  it('does not open with another key', async () => {
    const other = Buffer.alloc(64, 1).toString('base64');
    expect(await boot({ homeKey: other })).toMatchObject(unusable(/another key/));
  });

  if (everything) cannotBeUsedInEachWay();
});

it('leaves nothing behind', async () => {
  await engine.stop(vmId, 0);
  await engine.remove(vmId);
  await untilNoLeaks(before, graceMs);
});

function cannotBeUsedInEachWay(): void {
  it('needs room for what a new one begins with', async () => {
    await rm(disk);
    await engine.createHome(vmId, 1, signal);
    await debugfs('write /dev/null filler');
    await debugfs(`fallocate filler 0 ${/^Free blocks: +(\d+)/m.exec(await superblock())?.[1]}`);
    expect(await boot()).toMatchObject(unusable(/no room left/));
  });

  it('cannot be on a disk of zeros', async () => {
    const { size } = await stat(disk);
    await truncate(disk, 0);
    await truncate(disk, size);
    expect(await boot()).toMatchObject(unusable(/e2fsck finds no file system/));
  });

  it(
    'a disk that was root and home at once becomes the home',
    async () => {
      await run('cp', ['--sparse=always', join(home.image, imageFiles.rootfs), disk]);
      expect(await boot({ root: 0 })).toMatchObject({ phase: 'ready' });
      await deliver();
      await inVm(
        'cd /home/airlock; head -c 1000 /dev/urandom >kept; echo >sparse; touch /of-the-old-root; sync kept sparse',
      );
      const kept = await inVm(files);
      await cutPower();
      await engine.growHome(vmId, 5);
      expect(await boot()).toMatchObject({ phase: 'ready' });
      expect(await inVm(files)).toBe(kept);
      expect(await inVm('df -B1G --output=size /home/airlock | tail -n 1; ls / | grep -c of-the || true')).toMatch(
        /^ *5\n0\n$/,
      );
    },
    2 * bootMs + graceMs,
  );
}
