/** What can go wrong with the VM of a sign-in, each with real processes: its own error code, and nothing left behind. */
import { copyFile, mkdir, open, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { ProviderList, StartSessionResponse, VmList } from '@airlock/contract/api';
import type { JsonClient } from '@airlock/contract/http-client';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import { sealFiles } from '@airlock/contract/image-seal';
import { run } from '@airlock/contract/process';
import { RunnerStatus } from '@airlock/contract/runner';
import { Session } from '@airlock/contract/session';
import { apiClient, endController, refusal, untilSession } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

let home: TestHome;
let before: Snapshot;
let controller: RunningController;
let api: JsonClient;
/** False until a controller was started, and again once the test has ended it itself. */
let running = false;

async function start(env: Record<string, string> = {}): Promise<void> {
  controller = await startController({ home: home.path, env });
  running = true;
  api = apiClient(controller.url, controller.token);
}

async function connectCodex(): Promise<string> {
  const { sessionId } = await api.call('POST', '/api/vm/auth', StartSessionResponse, { body: { provider: 'codex' } });
  return sessionId;
}

async function untilEnded(sessionId: string, timeoutMs: number): Promise<Session> {
  return untilSession(api, sessionId, ['failed', 'timeout', 'cancelled', 'completed'], timeoutMs);
}

/** No VM is alive in the rows, and no process or secret of one on the host. */
async function expectNothingLeft(): Promise<void> {
  await until(
    'all VMs to be gone',
    async () =>
      (await api.call('GET', '/api/vm', VmList)).vms.every((vm) => ['destroyed', 'failed'].includes(vm.state)),
    { timeoutMs: 20_000 },
  );
  const { providers } = await api.call('GET', '/api/providers', ProviderList);
  expect(providers.find((provider) => provider.id === 'codex')).toMatchObject({
    state: 'not_connected',
    sessionId: null,
  });
}

type Change = (from: string, to: string) => Promise<unknown>;

/**
 * An image like the current one, but with another root file system or kernel, in this home only. `vouched`: its seal says that it is the
 * right one. Else that is said only of what is not changed: no controller needs to read that again.
 */
async function useOwnImage(
  change: { rootfs?: Change; kernel?: Change },
  { vouched }: { vouched: boolean },
): Promise<void> {
  const own = homePaths(home.path).images.image(basename(home.image));
  await mkdir(own, { recursive: true });
  const manifest = ImageManifest.parse(JSON.parse(await readFile(join(home.image, imageFiles.manifest), 'utf8')));
  for (const name of ['kernel', 'initrd', 'rootfs'] as const) {
    const artefact = manifest.artefacts[name];
    const [from, to] = [join(home.image, artefact.file), join(own, artefact.file)];
    const make = name === 'initrd' ? undefined : change[name];
    await (make ? make(from, to) : symlink(from, to));
    if (make && vouched) artefact.size = (await stat(to)).size;
  }
  await writeFile(join(own, imageFiles.manifest), JSON.stringify(manifest));
  if (vouched) await sealFiles(own, Object.values(manifest.artefacts));
  else await copyFile(join(home.image, imageFiles.seal), join(own, imageFiles.seal));
  await symlink(own, homePaths(home.path).images.current);
}

async function flipByte(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const file = await open(to, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 4096);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, 4096);
  await file.close();
}

async function emptyFile(path: string, size: number): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(size);
  await file.close();
}

/** A file of the same size that looks like a file system at first sight and holds nothing. */
async function keepSuperblockOnly(from: string, to: string): Promise<void> {
  const source = await open(from);
  const head = Buffer.alloc(4096);
  const { size } = await source.stat();
  await source.read(head, 0, head.length, 0);
  await source.close();
  const file = await open(to, 'w');
  await file.write(head, 0, head.length, 0);
  await file.truncate(size);
  await file.close();
}

beforeEach(async ({ task }) => {
  home = await createTestHome({ withImages: !task.name.includes('[own image]') });
  running = false;
  before = await takeSnapshot({ home: home.path });
});

afterEach(async () => {
  await api?.close();
  if (running) await endController(controller);
  await home.remove();
  await untilNoLeaks(before, 20_000);
}, 60_000);

describe('a sign-in that cannot work', () => {
  it('is refused at once when no golden image is current [own image]', async () => {
    await start();
    expect(await refusal(connectCodex())).toMatchObject({ code: 'image_missing' });
    await expectNothingLeft();
  }, 60_000);

  it('is refused at once when an artefact is truncated [own image]', async () => {
    await useOwnImage({ rootfs: async (_from, to) => emptyFile(to, 4096) }, { vouched: false });
    await start();
    const error = await refusal(connectCodex());
    expect(error).toMatchObject({ code: 'image_corrupt' });
    expect(error.message).toContain('rootfs.ext4');
    await expectNothingLeft();
  }, 60_000);

  it('never starts a VM with a kernel of which one byte was changed [own image]', async () => {
    await useOwnImage({ kernel: flipByte }, { vouched: false });
    await start();
    // Refused at once when the controller has read the image by then; it may still be reading.
    const answer = await connectCodex().then(
      async (sessionId) => (await untilEnded(sessionId, 120_000)).error,
      (error: unknown) => error,
    );
    expect(answer).toMatchObject({ code: 'image_corrupt', message: expect.stringContaining('vmlinux: SHA-256') });
    await expectNothingLeft();
  }, 180_000);

  it('fails soon when the file system of the rootfs is damaged [own image]', async () => {
    await useOwnImage({ rootfs: keepSuperblockOnly }, { vouched: true });
    await start();
    const session = await untilEnded(await connectCodex(), 200_000);
    expect(session).toMatchObject({ status: 'failed', error: { code: 'vm_boot_failed' } });
    expect(session.error?.details?.['lastLog']).toBeTruthy();
    await expectNothingLeft();
  }, 240_000);

  it('fails when the agent in the VM never answers [own image]', async () => {
    const rootfs: Change = async (from, to) => {
      await run('cp', ['--sparse=always', from, to]);
      await run('debugfs', ['-w', '-R', 'rm /usr/lib/airlock/agent.cjs', to]);
    };
    await useOwnImage({ rootfs }, { vouched: true });
    await start({ AIRLOCK_BOOT_TIMEOUT_S: '15' });
    const session = await untilEnded(await connectCodex(), 120_000);
    expect(session).toMatchObject({ status: 'failed', error: { code: 'vm_boot_timeout' } });
    await expectNothingLeft();
  }, 240_000);

  it('fails at once when the upstream proxy cannot be reached', async () => {
    const gone = await createFakeInternet();
    const { upstreamTemplate, port } = gone;
    await gone.close();
    await start({ AIRLOCK_UPSTREAM_PROXY: upstreamTemplate, AIRLOCK_PROXY_PORT_BASE: String(port) });
    const session = await untilEnded(await connectCodex(), 60_000);
    expect(session).toMatchObject({ status: 'failed', error: { code: 'upstream_unreachable' } });
    expect(JSON.stringify(session)).not.toContain(gone.password);
    await expectNothingLeft();
  }, 120_000);

  it('fails at once when the upstream proxy refuses the password, which is told nowhere', async () => {
    const internet = await createFakeInternet();
    try {
      const wrong = 'wrong-upstream-password';
      await start({
        AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate.replace(internet.password, wrong),
        AIRLOCK_PROXY_PORT_BASE: String(internet.port),
      });
      const session = await untilEnded(await connectCodex(), 60_000);
      expect(session).toMatchObject({ status: 'failed', error: { code: 'upstream_auth_failed' } });
      expect(JSON.stringify(session) + controller.log()).not.toContain(wrong);
      await expectNothingLeft();
    } finally {
      await internet.close();
    }
  }, 120_000);

  it('is refused before anything is made when there is no room for the CLI VM’s disk', async ({ skip }) => {
    skip(process.getuid?.() !== 0, 'needs root to mount a small tmpfs');
    const folder = homePaths(home.path).vms;
    await mkdir(folder);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder]);
    try {
      await start();
      const error = await refusal(connectCodex());
      expect(error).toMatchObject({ code: 'disk_full' });
      expect(error.message).toMatch(/need \d+\.\d GiB .* \d+\.\d GiB are free/);
      await expectNothingLeft();
      await controller.stop();
      running = false;
    } finally {
      await run('umount', [folder]);
    }
  }, 60_000);
});

describe('a sign-in that is interrupted', () => {
  it('is cancelled at once while its VM starts, and cannot be cancelled twice', async () => {
    await start();
    const id = await connectCodex();
    await untilSession(api, id, ['vm_created'], 20_000);
    const cancelled = await api.call('POST', `/api/vm/auth/${id}/cancel`, Session);
    expect(cancelled.status).toBe('cancelled');
    await expectNothingLeft();
    expect(await refusal(api.call('POST', `/api/vm/auth/${id}/cancel`, Session))).toMatchObject({
      code: 'session_finished',
    });
  }, 90_000);

  it('refuses a second one for the same provider meanwhile', async () => {
    await start();
    const id = await connectCodex();
    expect(await refusal(connectCodex())).toMatchObject({ code: 'session_busy' });
    await api.call('POST', `/api/vm/auth/${id}/cancel`, Session);
    await connectCodex();
    await controller.kill9();
    await start();
    const { vms } = await api.call('GET', '/api/vm', VmList);
    expect(vms.filter((vm) => vm.state === 'starting' || vm.state === 'running').length).toBeLessThanOrEqual(1);
    await api.call('POST', '/api/system/stop-vms', null, { timeoutMs: 60_000 });
    await expectNothingLeft();
  }, 120_000);

  it('fails with the truth when controller and runner were both killed', async () => {
    await start();
    const id = await connectCodex();
    const { browserVmId } = await untilSession(api, id, ['vm_created'], 20_000);
    const statusFile = homePaths(home.path).vmFile(browserVmId ?? '', 'status');
    const status = await until(
      'the VM to be powered on',
      async () => {
        const text = await readFile(statusFile, 'utf8').catch(() => null);
        const found = text === null ? undefined : RunnerStatus.parse(JSON.parse(text));
        return found?.vmm ? found : undefined;
      },
      { timeoutMs: 20_000 },
    );
    await controller.kill9();
    process.kill(status.runner.pid, 'SIGKILL');
    await start();
    const session = await untilEnded(id, 30_000);
    expect(session).toMatchObject({ status: 'failed', error: { code: 'vm_lost' } });
    await expectNothingLeft();
  }, 120_000);
});
