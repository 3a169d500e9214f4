/** What stands around the life of a CLI VM is called in its order, whoever starts or ends the VM. */
import { beforeEach, expect, test } from 'vitest';
import type { CliGuard, VmRow } from './vm.js';
import { useVms } from './testing.js';

let calls: string[] = [];
let meanwhile: () => Promise<void> | void = () => undefined;
const guard: CliGuard = {
  starting: async () => void calls.push('starting'),
  async ready(row, { vms }) {
    calls.push(`ready ${row.state}`);
    await vms.guest(row.id);
  },
  proved: async () => void calls.push('proved'),
  async ending(row, { vms }) {
    calls.push(`ending ${(await vms.get(row.id))?.state}`);
    await meanwhile();
  },
};
const host = useVms({ AIRLOCK_CLI_IDLE_S: '1' }, guard);
const never = new AbortController().signal;
const use = () => host.vms.useCli(host.userId, () => undefined, never);
const state = async (vm: VmRow): Promise<string | undefined> => (await host.vms.get(vm.id))?.state;

beforeEach(() => {
  calls = [];
  meanwhile = () => undefined;
});

test('before it is powered on, when it is ready, and while it still runs before it is destroyed', async () => {
  host.signingIn.add(host.userId);
  const vm = await host.vms.ensureCli(host.userId, null, () => undefined, never);
  await host.vms.ensureCli(host.userId, null, () => undefined, never);
  expect(calls).toEqual(['starting', 'ready running', 'ready running']);
  await host.vms.destroy(vm.id);
  expect(calls.slice(3)).toEqual(['ending running']);
  expect(await state(vm)).toBe('destroyed');
});

test('a use that comes during the last look goes on, and the VM counts as started anew', async () => {
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  let used: ReturnType<typeof use> | undefined;
  meanwhile = () => {
    used ??= use();
    begin();
  };
  const vm = await host.vms.ensureCli(host.userId, null, () => undefined, never);
  await begun;
  const { release } = await (used ?? use());
  expect(await state(vm)).toBe('running');
  expect(calls).toEqual(['starting', 'ready running', 'ending running', 'starting', 'ready running']);
  expect(host.engine.done).toEqual([`start ${vm.id}`]);
  await release();
  await expect.poll(() => state(vm), { timeout: 10_000 }).toBe('stopped');
});

test.each([
  ['for want of room', 'capacity_exhausted', (): void => void (host.engine.host.memory.availableMib = 0)],
  ['for want of its key', 'home_key_lost', (): void => host.homeKeys.held.clear()],
] as const)('a start that is refused %s is none', async (_why, code, hinder) => {
  const vm = await host.vms.ensureCli(host.userId, null, () => undefined, never);
  await host.vms.stopAll();
  calls = [];
  hinder();
  await expect(host.vms.ensureCli(host.userId, null, () => undefined, never)).rejects.toMatchObject({ code });
  expect(calls).toEqual([]);
  expect(await state(vm)).toBe('stopped');
});
