/** User ids of VMMs: in the database, one for each VM that may be running. */
import { expect, test } from 'vitest';
import { useVms } from './testing.js';
import type { VmRow } from './vm.js';

const host = useVms();
const never = new AbortController().signal;
const browser = (): Promise<VmRow> => host.vms.createBrowser({ userId: host.userId, sessionId: null, destroyAt: null });
const ready = ({ id }: VmRow): Promise<VmRow> => host.vms.waitReady(id, () => undefined, never);

test('of three VMs that start at one moment, on a host with two ids, two get one each, and the third is told', async () => {
  host.deps.host.vmUsers = { first: 70000, last: 70001 };
  const made = await Promise.all([browser(), browser(), browser()]);
  const results = await Promise.allSettled(made.map(ready));
  const users = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value.vmUser] : []));
  expect(users.toSorted()).toEqual([70000, 70001]);
  const refused = results.find((one) => one.status === 'rejected');
  expect(refused?.reason).toMatchObject({ code: 'vm_ids_exhausted', message: expect.stringContaining('70001') });
  const last = made.find((_, index) => results[index]?.status === 'fulfilled');
  await host.vms.destroy(last?.id ?? '');
  expect(users).toContain((await ready(await browser())).vmUser);
});

test('a CLI VM that is stopped leaves its id to the next one, and gets another', async () => {
  host.deps.host.vmUsers = { first: 70000, last: 70001 };
  const cli = await host.vms.ensureCli(host.userId, null, () => undefined, never);
  expect(cli.vmUser).toBe(70000);
  await host.vms.stop(cli.id);
  expect((await ready(await browser())).vmUser).toBe(70000);
  expect((await host.vms.ensureCli(host.userId, null, () => undefined, never)).vmUser).toBe(70001);
});

test('a host without such ids gives none', async () => {
  expect((await ready(await browser())).vmUser).toBeNull();
});
