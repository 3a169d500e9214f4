import { describe, expect, it, test } from 'vitest';
import { desktopProtocol, guestProtocol, newestGuestProtocol, oldestGuestProtocol } from '@airlock/contract/guest';
import { requireUnderstood } from './age.js';
import { useVms } from './testing.js';
import type { VmRow } from './vm.js';

const host = useVms({ AIRLOCK_CLI_UPDATE: 'manual' });
const never = new AbortController().signal;
const made = (): Promise<VmRow> => host.vms.ensureCli(host.userId, null, () => undefined, never);
const use = () => host.vms.useCli(host.userId, () => undefined, never);

const tooOld = { code: 'image_too_old', hint: expect.stringContaining('`npx airlock vm update vm_') as string };
const tooNew = { code: 'image_too_new', hint: expect.stringContaining('newer version of Airlock') as string };
const ages = [
  ['too old', oldestGuestProtocol - 1, tooOld],
  ['too new', newestGuestProtocol + 1, tooNew],
] as const;

describe.each(ages)('a CLI VM whose image is %s', (_age, protocol, refusal) => {
  async function aged(): Promise<VmRow> {
    const vm = await made();
    host.protocols.set(vm.imageId, protocol);
    return vm;
  }

  it('is not powered on, and its row says why', async () => {
    const vm = await aged();
    await host.vms.stop(vm.id);
    await expect(use()).rejects.toMatchObject(refusal);
    await expect(host.vms.start(vm.id)).rejects.toMatchObject(refusal);
    expect(await host.vms.get(vm.id)).toMatchObject({ state: 'stopped', error: refusal });
    expect(host.engine.running).not.toContain(vm.id);
  });

  it('is not used where another version has left it running', async () => {
    const vm = await aged();
    await expect(use()).rejects.toMatchObject(refusal);
    expect(await host.vms.get(vm.id)).toMatchObject({ state: 'running' });
  });

  it('gets another root although it cannot be started, and is used again', async () => {
    const vm = await aged();
    await host.vms.stop(vm.id);
    host.imageId = 'img_000001';
    await host.vms.update(vm.id, { kind: 'update', now: false });
    await expect.poll(() => host.vms.get(vm.id), { timeout: 5000 }).toMatchObject({ rootNumber: 2, rootUpdate: null });
    await (await use()).release();
  });
});

test('a VM stays with the best driver that its image knows, whatever the host has besides', async () => {
  const former = await made();
  expect(host.engine.startedBy.splice(0)).toEqual(['a-test']);
  host.drivers.set('img_000001', ['a-test', 'a-newer']);
  host.imageId = 'img_000001';
  const browser = await host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
  await expect.poll(() => host.vms.get(browser.id), { timeout: 5000 }).toMatchObject({ state: 'running' });
  await host.vms.stop(former.id);
  await host.vms.start(former.id);
  expect(host.engine.startedBy).toEqual(['a-newer', 'a-test']);
  host.drivers.set(former.imageId, ['another']);
  await host.vms.stop(former.id);
  await expect(host.vms.start(former.id)).rejects.toMatchObject({ code: 'image_too_old' });
});

test('a VM whose driver is no longer taken starts with another one, and its row says why', async () => {
  const both = ['a-test', 'a-newer'];
  host.drivers.set(host.imageId, both);
  const vm = await made();
  expect(host.engine.startedBy.splice(0)).toEqual(['a-newer']);
  expect(await host.vms.get(vm.id)).toMatchObject({ driver: 'a-newer', driverReason: 'It is newer.' });
  const [newer, test] = host.hostDrivers;
  const again = async (): Promise<VmRow | undefined> => {
    await host.vms.stop(vm.id);
    await host.vms.start(vm.id);
    return host.vms.get(vm.id);
  };
  Object.assign(newer ?? {}, { imageId: 'img_000001' });
  const reason = `It is a test. The gate of a-newer has booted img_000001, not ${vm.imageId}.`;
  expect(await again()).toMatchObject({ driver: 'a-test', driverReason: reason });
  Object.assign(newer ?? {}, { imageId: null, problem: 'Its gate failed.' });
  expect(await again()).toMatchObject({ driver: 'a-test', driverReason: 'It is a test. Its gate failed.' });
  Object.assign(test ?? {}, { forced: true, reason: 'It is asked for.' });
  expect(await again()).toMatchObject({ driver: 'a-test' });
  // Asked for and not known to its root: what it knows is taken all the same.
  host.drivers.set(vm.imageId, ['a-newer']);
  Object.assign(newer ?? {}, { problem: null });
  expect(await again()).toMatchObject({ driver: 'a-newer' });
});

test('nothing is begun with a current image that is too new', async () => {
  host.protocols.set(host.imageId, newestGuestProtocol + 1);
  const refusal = { code: 'image_too_new', hint: expect.stringContaining('`npx airlock image rollback`') as string };
  await expect(host.vms.requireCapacity(host.userId, { browser: true })).rejects.toMatchObject(refusal);
  await expect(made()).rejects.toMatchObject(refusal);
  const browser = await host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
  await expect
    .poll(() => host.vms.get(browser.id), { timeout: 5000 })
    .toMatchObject({ state: 'failed', error: { code: 'image_too_new' } });
});

test('agents within the range are understood, those beyond it are named', () => {
  for (const protocol of [oldestGuestProtocol, guestProtocol - 1, guestProtocol, newestGuestProtocol]) {
    expect(() => requireUnderstood({ id: 'img_1', guestProtocol: protocol }, 'vm_1')).not.toThrow();
  }
  const image = { id: 'img_1', guestProtocol: newestGuestProtocol + 1 };
  const found = `VM vm_1, which is of the golden image img_1, speaks protocol ${image.guestProtocol}; this version of Airlock understands ${oldestGuestProtocol} to ${newestGuestProtocol}.`;
  expect(() => requireUnderstood(image, 'vm_1')).toThrow(found);
  expect(() => requireUnderstood(image, null)).toThrow('The agent of the golden image img_1 speaks');
});

test('a desktop is not asked for what its agent does not know, and says what helps', async () => {
  const { id, imageId } = await host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
  await expect.poll(() => host.vms.get(id), { timeout: 5000 }).toMatchObject({ state: 'running' });
  await host.vms.desktopGuest(id);
  host.protocols.set(imageId, desktopProtocol - 1);
  const hint = expect.stringContaining('`npx airlock image build`') as string;
  await expect(host.vms.desktopGuest(id)).rejects.toMatchObject({ code: 'image_too_old', hint });
  await host.vms.guest(id);
  await expect(host.vms.desktopGuest((await made()).id)).rejects.toMatchObject({ code: 'desktop_not_ready' });
});
