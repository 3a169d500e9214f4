/** For tests: CLI VMs whose agent is played in memory by its protocol. Everything else of the custodian is real. */
import { AppError } from '@airlock/contract/errors';
import type { CheckResult, CredentialBundle, GuestCredentials } from '@airlock/contract/guest';
import type { JsonClient } from '@airlock/contract/http-client';
import { eq } from 'drizzle-orm';
import type { CliGuard, Vms, VmRow } from '../vm/vm.js';
import { standInVms } from '../vm/testing.js';
import { vms as vmTable } from '../vm/table.js';
import type { TestStore } from '../store/testing.js';

export interface PlayedGuest {
  bundle: CredentialBundle | null;
  generation: number | null;
  /** Why what lies in the place of the login cannot be read; empty: it can. */
  unreadable: string;
  /** What its CLI says of its login. */
  proof: Pick<CheckResult, 'ok' | 'exitCode' | 'output'>;
  /** Calls, such as `PUT /credentials/codex?generation=1`. */
  calls: string[];
  /** Thrown instead of an answer to a call that matches. */
  fails: RegExp | null;
  /** Runs before the answer to a call: what happens meanwhile. */
  meanwhile: ((call: string) => Promise<void> | void) | null;
}

export interface PlayedVms {
  vms: Vms;
  guest: PlayedGuest;
  destroyed: string[];
  /** What the vm folder does around the life of a CLI VM. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Ends without a last look. */
  cutPower(): Promise<void>;
}

const fingerprintOf = (bundle: CredentialBundle): string => JSON.stringify(bundle.files);

/** One CLI VM, `vmId`, whose row is in `store`. */
export function playVms({ store }: TestStore, vmId: string, guard: CliGuard): PlayedVms {
  const guest: PlayedGuest = {
    ...{ bundle: null, generation: null, calls: [], fails: null, meanwhile: null, unreadable: '' },
    proof: { ok: true, exitCode: 0, output: 'Logged in using ChatGPT' },
  };
  const destroyed: string[] = [];
  const { db } = store;
  const get = async (id: string): Promise<VmRow | undefined> =>
    (await db.select().from(vmTable).where(eq(vmTable.id, id)))[0];
  let life = new AbortController();
  async function move(state: VmRow['state']): Promise<void> {
    await db.update(vmTable).set({ state }).where(eq(vmTable.id, vmId));
    if (state === 'running') life = new AbortController();
    else life.abort(new AppError('vm_not_running', `It is ${state}.`));
  }

  async function answer(call: string, body: unknown): Promise<unknown> {
    guest.calls.push(call);
    if (guest.fails?.test(call)) throw new AppError('guest_unreachable', 'The agent did not answer.');
    await guest.meanwhile?.(call);
    const [method, path = ''] = call.split(' ');
    if (call === 'GET /credentials') return listOf(guest);
    if (method === 'PUT') {
      guest.bundle = body as CredentialBundle;
      guest.generation = Number(path.split('=')[1]) || null;
    } else if (method === 'DELETE') {
      Object.assign(guest, { bundle: null, generation: null });
    } else if (guest.bundle !== null) return guest.bundle;
    else throw new AppError('not_found', 'There is none.');
    return undefined;
  }

  const refuse = (): never => {
    throw new AppError('vm_not_running', 'Not played.');
  };
  const client: JsonClient = {
    call: async (method, path, _schema, options) => answer(`${method} ${path}`, options?.body) as never,
    lines: async () => refuse(),
    close: async () => undefined,
  };

  async function running(): Promise<VmRow> {
    const vm = await get(vmId);
    return vm?.state === 'running' ? vm : refuse();
  }
  async function start(): Promise<void> {
    const vm = await get(vmId);
    if (!vm) return refuse();
    await guard.starting(vm);
    await move('running');
    await guard.ready({ ...vm, state: 'running' }, reach);
  }

  const keep = { all: async () => db.select().from(vmTable), put: (row: VmRow) => move(row.state) };
  const vms = standInVms(keep, {
    guest: async (id) => {
      if (id === vmId) await running();
      return client;
    },
    ensureCli: async () => {
      if ((await get(vmId))?.state === 'running') await guard.ready(await running(), reach);
      else await start();
      return running();
    },
    cliOf: async () => get(vmId),
    useCli: async () => ({
      vm: await vms.ensureCli('', null, () => undefined, new AbortController().signal),
      ended: life.signal,
      release: async () => undefined,
    }),
    runCheck: async (_id, name) => {
      guest.calls.push(`POST /checks/${name}`);
      await guest.meanwhile?.(`POST /checks/${name}`);
      return { name, durationMs: 1, ...guest.proof };
    },
    destroy: async (id) => void destroyed.push(id),
  });
  const reach = { vms, signal: new AbortController().signal };
  return {
    ...{ vms, guest, destroyed, start },
    cutPower: () => move('stopped'),
    async stop() {
      await guard.ending(await running(), reach);
      await move('stopped');
    },
  };
}

function listOf({ bundle, generation, unreadable }: PlayedGuest): GuestCredentials {
  if (unreadable !== '') {
    const held = { complete: false, fingerprint: null, generation: null, unreadable };
    return { credentials: [{ provider: 'codex', ...held }] };
  }
  const fingerprint = bundle && fingerprintOf(bundle);
  return { credentials: [{ provider: 'codex', complete: bundle !== null, fingerprint, generation }] };
}
