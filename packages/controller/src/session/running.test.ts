/** What ended sessions had made is taken away while everything else goes on, also where a VM cannot be destroyed. */
import { system } from '../audit/audit.js';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { useDesk } from './testing/desk.js';

const desk = useDesk();
let letGo = (): void => undefined;
let stuck: Promise<void>;
beforeEach(() => {
  stuck = new Promise((resolve) => (letGo = resolve));
});
afterEach(() => letGo());

/** The first VM that is to be destroyed meets `hindrance` before it is; the others go at once. */
function hinderDestroy(hindrance: () => Promise<unknown>): { vmId: string | undefined } {
  const { destroy } = desk.host.vms;
  const hindered: { vmId: string | undefined } = { vmId: undefined };
  desk.host.vms.destroy = async (vmId) => {
    hindered.vmId ??= vmId;
    if (vmId === hindered.vmId) await hindrance();
    await destroy(vmId);
  };
  return hindered;
}

const sql = (text: string) => desk.store.store.db.execute(text);
const stateOf = (vmId: string | undefined) => desk.host.all.get(vmId ?? '')?.row.state;

test('sessions end by their clocks while the VM of one of them does not go', async () => {
  desk.host.holdBoot = true;
  const ids: string[] = [];
  for (const provider of ['codex', 'claude_code'] as const) {
    const { id } = await desk.sessions.start(desk.ada, provider);
    await desk.until(id, 'vm_created');
    ids.push(id);
  }
  const hindered = hinderDestroy(() => stuck);
  await sql(`update airlock.auth_sessions set deadline_at = now() - interval '1 second'`);
  for (const id of ids) await desk.until(id, 'failed');
  const { all } = desk.host;
  const others = [...all.keys()].filter((vmId) => vmId !== hindered.vmId);
  await vi.waitFor(() => expect(others.map(stateOf)).toEqual(['destroyed']));
  expect(stateOf(hindered.vmId)).toBe('running');
  const closed = desk.sessions.close();
  letGo();
  await closed;
  expect(stateOf(hindered.vmId)).toBe('destroyed');
});

test('all sign-ins end when all VMs are to stop, also one whose VM is only being asked for', async () => {
  const waiting = await desk.startSignIn();
  const { createBrowser } = desk.host.vms;
  let asked = (): void => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  desk.host.vms.createBrowser = async (request) => {
    asked();
    await stuck;
    return createBrowser(request);
  };
  const { id: pending } = await desk.sessions.start(desk.ada, 'claude_code');
  await isAsked;
  const ended = desk.sessions.endAll(system);
  await desk.until(pending, 'failed');
  letGo();
  await ended;
  desk.host.vms.createBrowser = createBrowser;
  for (const id of [waiting, pending])
    expect((await desk.sessions.get(desk.ada, id)).error).toMatchObject({ code: 'vm_not_running' });
  expect(new Set([...desk.host.all.keys()].map(stateOf))).toEqual(new Set(['destroyed']));
  await expect(desk.sessions.start(desk.ada, 'codex')).resolves.toMatchObject({ status: 'pending' });
});

test('every sign-in of a user who is kept out is cancelled, with its VM and its record', async () => {
  const id = await desk.startSignIn();
  const browser = desk.host.vm('browser').row.id;
  await desk.sessions.cancelAll('usr_other', system);
  expect(await desk.sessions.get(desk.ada, id)).toMatchObject({ status: 'awaiting_user_auth' });
  await desk.sessions.cancelAll(desk.ada, system);
  expect(await desk.sessions.get(desk.ada, id)).toMatchObject({ status: 'cancelled' });
  expect(stateOf(browser)).toBe('destroyed');
  await desk.sessions.forget(desk.ada);
  expect(await desk.sessions.list(desk.ada)).toEqual([]);
});

test.each([
  ['fails to', () => Promise.reject(new AppError('internal', 'input/output error'))],
  ['does not', () => stuck],
])('a controller starts although a VM that an ended session left %s go', async (_how, hindrance) => {
  const id = await desk.startSignIn();
  await desk.close();
  await sql(`update airlock.auth_sessions set status = 'cancelled', revision = revision + 1 where id = '${id}'`);
  const { destroy } = desk.host.vms;
  const hindered = hinderDestroy(hindrance);
  await desk.restart();
  await vi.waitFor(() => expect(hindered.vmId).toBe(desk.host.vm('browser').row.id));
  expect(stateOf(hindered.vmId)).toBe('running');
  await expect(desk.sessions.start(desk.ada, 'codex')).resolves.toMatchObject({ status: 'pending' });
  letGo();
  desk.host.vms.destroy = destroy;
  await desk.restart();
  await vi.waitFor(() => expect(stateOf(hindered.vmId)).toBe('destroyed'));
});
