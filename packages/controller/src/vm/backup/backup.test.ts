/** A home into a file: what the VM does meanwhile, and how it ends. Real rows and files; an engine without VMs. */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { useVms } from '../testing.js';
import type { CliGuard, VmRow } from '../vm.js';
import { openHome } from './form.js';
import { each, homeBytes, passphrase, useRealHomes, whole, type RealHomes } from '../testing/homes.js';

const never = new AbortController().signal;
let guarded: string[] = [];
const guard: CliGuard = {
  starting: async () => void guarded.push('starting'),
  ready: async () => void guarded.push('ready'),
  proved: async () => undefined,
  ending: async () => void guarded.push('ending'),
};
const host = useVms({ AIRLOCK_CLI_UPDATE: 'manual' }, guard);
let homes: RealHomes;
beforeEach(async () => {
  homes = await useRealHomes(host);
  guarded = [];
});

const made = (): Promise<VmRow> => host.vms.ensureCli(host.userId, null, () => undefined, never);
const use = () => host.vms.useCli(host.userId, () => undefined, never);
const backup = ({ id }: VmRow, now = false) => host.vms.backup(id, { passphrase, now, user: 'ada' });
const row = async ({ id }: VmRow): Promise<VmRow | undefined> => host.vms.get(id);
async function becomes(vm: VmRow, state: VmRow['state']): Promise<void> {
  await expect.poll(async () => (await row(vm))?.state, { timeout: 20_000 }).toBe(state);
}

describe('a backup', () => {
  test('holds the home and its key; the VM stands still for it after a last look, and runs again', async () => {
    const vm = await made();
    host.engine.done.length = 0;
    guarded = [];
    const stream = await backup(vm);
    expect(await row(vm)).toMatchObject({ state: 'stopped' });
    expect([guarded, host.engine.done]).toEqual([['ending'], [`stop ${vm.id}`]]);
    const file = await whole(stream);
    await becomes(vm, 'running');
    await expect.poll(() => guarded).toEqual(['ending', 'starting', 'ready']);
    const { about, extents } = await openHome(passphrase, each([file]));
    expect(about).toMatchObject({ vmId: vm.id, user: 'ada', imageId: 'img_000000', sizeBytes: homeBytes });
    expect(about.homeKey).toBe(host.homeKeys.held.get(vm.id));
    const disk = await homes.read(vm.id);
    const copy = Buffer.alloc(disk.length);
    for await (const { at, bytes } of extents) copy.set(bytes, at);
    expect(copy.equals(disk)).toBe(true);
    expect(file.length).toBeLessThan(100_000);
  });

  test('of a VM that stands still leaves it so', async () => {
    const vm = await made();
    await host.vms.stop(vm.id);
    host.engine.done.length = 0;
    await whole(await backup(vm));
    await host.vms.stop(vm.id);
    expect([await row(vm), host.engine.done]).toMatchObject([{ state: 'stopped', epoch: vm.epoch }, []]);
  });

  test('makes uses and starts wait until it is read', async () => {
    const vm = await made();
    await host.vms.stop(vm.id);
    host.engine.done.length = 0;
    const stream = await backup(vm);
    const using = use();
    const starting = host.vms.start(vm.id);
    stream.once('end', () => host.engine.done.push('read'));
    await whole(stream);
    await Promise.all([using, starting]);
    expect(host.engine.done).toEqual(['read', `start ${vm.id}`]);
    await (await using).release();
  });

  test('is refused while somebody uses the VM, which goes on, or signs in', async () => {
    const vm = await made();
    const using = await use();
    await expect(backup(vm)).rejects.toMatchObject({ code: 'vm_in_use', hint: expect.stringContaining('--now') });
    await using.release();
    host.signingIn.add(host.userId);
    await expect(backup(vm)).rejects.toMatchObject({ code: 'vm_in_use' });
    expect([await row(vm), using.ended.aborted]).toMatchObject([{ state: 'running', epoch: vm.epoch }, false]);
  });

  test('ends uses when it is told to', async () => {
    const vm = await made();
    const using = await use();
    const stream = await backup(vm, true);
    expect(using.ended.reason).toMatchObject({ code: 'vm_not_running' });
    await using.release();
    await whole(stream);
    await becomes(vm, 'running');
  });

  test('waits for a start that is under way, when it is told to, and then stops the VM', async () => {
    const vm = await made();
    await host.vms.stop(vm.id);
    let open = (): void => undefined;
    host.engine.bootGate = new Promise<void>((resolve) => (open = resolve));
    const using = use();
    await becomes(vm, 'starting');
    await expect(backup(vm)).rejects.toMatchObject({ code: 'vm_in_use' });
    const stream = backup(vm, true);
    open();
    await expect(using).resolves.toMatchObject({ vm: { id: vm.id } });
    await whole(await stream);
    await (await using).release();
  });

  test.each(['at its beginning', 'in its middle'])('that is left %s lets the VM go', async (where) => {
    const vm = await made();
    const stream = await backup(vm);
    if (where === 'in its middle') await once(stream, 'readable');
    stream.destroy();
    await becomes(vm, 'running');
    expect(await row(vm)).toMatchObject({ epoch: vm.epoch + 1, error: null });
  });

  test('that nobody reads is given up', async () => {
    const vm = await made();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const stream = await backup(vm);
      const broken = once(stream, 'error');
      await once(stream, 'readable');
      vi.advanceTimersByTime(60_001);
      expect(await broken).toMatchObject([{ code: 'aborted', message: expect.stringContaining('60 seconds') }]);
    } finally {
      vi.useRealTimers();
    }
    await becomes(vm, 'running');
  });

  test('ends with its VM', async () => {
    const vm = await made();
    const stream = await backup(vm);
    const broken = once(stream, 'error');
    await host.vms.destroy(vm.id);
    expect(await broken).toMatchObject([{ code: 'vm_not_running' }]);
    expect(await row(vm)).toMatchObject({ state: 'destroyed' });
  });

  test('ends with the controller, and the next one finds the VM standing still', async () => {
    const vm = await made();
    const stream = await backup(vm);
    const broken = once(stream, 'error');
    await host.restart();
    expect(await broken).toMatchObject([{ code: 'shutting_down' }]);
    await host.vms.reconcile();
    expect(await row(vm)).toMatchObject({ state: 'stopped', error: null });
    await (await use()).release();
    expect(await row(vm)).toMatchObject({ state: 'running' });
  });
});

describe('nothing is stopped for a backup that cannot be made', () => {
  test('for want of the key', async () => {
    const vm = await made();
    host.homeKeys.held.clear();
    await expect(backup(vm)).rejects.toMatchObject({ code: 'home_key_lost' });
    expect(await row(vm)).toMatchObject({ state: 'running', epoch: vm.epoch });
  });

  test('of a browser VM, or of none', async () => {
    const vm = await host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
    await expect(backup(vm)).rejects.toMatchObject({ code: 'invalid_request' });
    const nobody = { ...vm, id: 'vm_0123456789abcdef' };
    await expect(backup(nobody)).rejects.toMatchObject({ code: 'not_found' });
  });
});

test('a VM whose home is gone is started again all the same: that says what is to be done', async () => {
  const vm = await made();
  await rm(homes.path(vm.id));
  await expect(backup(vm)).rejects.toMatchObject({ code: 'home_unusable' });
  await becomes(vm, 'running');
});
