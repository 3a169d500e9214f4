/** VMs: list, look at, stop and start, update, check, destroy. */
import { z } from 'zod';
import { CreateVmRequest, RunCheckRequest, UpdateVmRequest, Vm, VmList } from '@airlock/contract/api';
import { CheckResult, GuestHealth } from '@airlock/contract/guest';
import { VmId } from '@airlock/contract/ids';
import { isFinal } from '@airlock/contract/session';
import type { FastifyRequest } from 'fastify';
import { type Behind, ownerOf, type VmRow } from '../../vm/vm.js';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
import { noteVm } from '../note.js';
import { assertMayCheck, assertMayDestroy, toVm, visibleVm } from '../vm.js';

export const vmParams = z.strictObject({ id: VmId });

/** The VM of the path, if the caller may know of it. @throws AppError not_found */
export async function vmOf(
  { vms }: Pick<HttpDeps, 'vms'>,
  request: FastifyRequest<{ Params: { id: string } }>,
): Promise<VmRow> {
  const { id } = request.params;
  return visibleVm(userOf(request), id, await vms.get(id));
}

export function addVmRoutes(server: Server, deps: HttpDeps): void {
  const shown = createShown(deps);
  addList(server, deps, shown);
  addOne(server, deps, shown);
  addPower(server, deps, shown);
  addUpdate(server, deps, shown);
  addGuest(server, deps);
}

/** VMs as the API shows them. */
interface Shown {
  one(row: VmRow): Promise<Vm>;
  all(rows: readonly VmRow[]): Promise<Vm[]>;
}

export function createShown({ vms, settings }: HttpDeps): Shown {
  const describe = (row: VmRow, behind: ReadonlyMap<string, Behind>): Vm =>
    toVm(row, {
      ...{ idleS: settings.AIRLOCK_CLI_IDLE_S, uses: row.userId === null ? 0 : vms.usesOf(row.userId) },
      behind: behind.get(row.id) ?? null,
    });
  return {
    one: async (row) => describe(row, await vms.behind([row])),
    all: async (rows) => {
      const behind = await vms.behind(rows);
      return rows.map((row) => describe(row, behind));
    },
  };
}

function addList(server: Server, deps: HttpDeps, shown: Shown): void {
  const { vms } = deps;
  server.get(
    '/api/vm',
    { schema: { response: answers(200, VmList), summary: 'The caller’s VMs; for administrators all' } },
    async (request) => {
      const user = userOf(request);
      const rows = await vms.list(user.role === 'admin' ? null : user.id);
      return { vms: await shown.all(rows) };
    },
  );

  server.post(
    '/api/vm',
    {
      config: { access: 'admin' },
      schema: {
        body: CreateVmRequest,
        response: answers(202, Vm),
        summary: 'Make a browser VM outside of any sign-in, for a limited time',
      },
    },
    async (request, reply) => {
      const destroyAt = new Date(Date.now() + request.body.leaseMinutes * 60_000);
      const wanted = { userId: userOf(request).id, sessionId: null, destroyAt };
      const row = await vms.createBrowser(wanted, (made, tx) =>
        noteVm(deps, request, made, { action: 'vm_created', tx }),
      );
      return reply.status(202).send(await shown.one(row));
    },
  );
}

function addOne(server: Server, deps: HttpDeps, shown: Shown): void {
  const { vms } = deps;
  server.get(
    '/api/vm/:id',
    { schema: { params: vmParams, response: answers(200, Vm), summary: 'One VM' } },
    async (request) => shown.one(await vmOf(deps, request)),
  );

  server.delete(
    '/api/vm/:id',
    { schema: { params: vmParams, response: answers(204, noContent), summary: 'Destroy a VM with all it holds' } },
    async (request, reply) => {
      const row = await vmOf(deps, request);
      assertMayDestroy(row, await isSessionOpen(row, deps));
      await noteVm(deps, request, row, { action: 'vm_destroyed', details: { kind: row.kind } });
      await vms.destroy(row.id);
      return reply.status(204).send(undefined);
    },
  );
}

/** What takes a guest's boot is answered when it is on its way, with a VM to be followed; a stop when it is done. */
function addPower(server: Server, deps: HttpDeps, shown: Shown): void {
  const { vms } = deps;
  server.post(
    '/api/vm/:id/stop',
    {
      schema: {
        params: vmParams,
        response: answers(200, Vm),
        summary: 'Power a CLI VM off, also in the middle of prompts; its disks stay, and its next use starts it',
      },
    },
    async (request) => {
      const row = await vmOf(deps, request);
      await noteVm(deps, request, row, { action: 'vm_stopped' });
      return shown.one(await vms.stop(row.id));
    },
  );

  const starts = {
    start: 'Start a CLI VM; answers when it is on its way',
    restart: 'Stop a CLI VM and start it again; answers when it is on its way',
  };
  for (const verb of ['start', 'restart'] as const) {
    server.post(
      `/api/vm/:id/${verb}`,
      { schema: { params: vmParams, response: answers(202, Vm), summary: starts[verb] } },
      async (request, reply) => {
        const row = await vmOf(deps, request);
        await noteVm(deps, request, row, { action: 'vm_started', details: { restart: verb === 'restart' } });
        return reply.status(202).send(await shown.one(await vms[verb](row.id)));
      },
    );
  }
}

/** Answered when it is written down; the VM tells how it goes on, in `update`. */
function addUpdate(server: Server, deps: HttpDeps, shown: Shown): void {
  const { vms } = deps;
  const kinds = {
    update:
      'Put a CLI VM on the current image, unless it has that; its home stays. The VM’s `update` tells how it goes',
    reset: 'Give a CLI VM a fresh root of the current image; its home stays, and nothing else. As `update` otherwise',
  };
  for (const kind of ['update', 'reset'] as const) {
    server.post(
      `/api/vm/:id/${kind}`,
      {
        schema: {
          params: vmParams,
          body: UpdateVmRequest.nullable(),
          response: answers(202, Vm),
          summary: kinds[kind],
        },
      },
      async (request, reply) => {
        const row = await vmOf(deps, request);
        const now = request.body?.now ?? false;
        await noteVm(deps, request, row, { action: 'vm_updated', details: { kind, now } });
        return reply.status(202).send(await shown.one(await vms.update(row.id, { kind, now })));
      },
    );
  }

  server.post(
    '/api/vm/update',
    {
      config: { access: 'admin' },
      schema: {
        response: answers(202, VmList),
        summary: 'Update all CLI VMs that are behind, one after the other, once nobody uses them; answers which',
      },
    },
    async (request, reply) => {
      const details = { kind: 'update', now: false };
      const asked = await vms.updateAll((row) => noteVm(deps, request, row, { action: 'vm_updated', details }));
      return reply.status(202).send({ vms: await shown.all(asked) });
    },
  );
}

function addGuest(server: Server, deps: HttpDeps): void {
  const { vms } = deps;
  server.get(
    '/api/vm/:id/health',
    { schema: { params: vmParams, response: answers(200, GuestHealth), summary: 'What the agent in the VM reports' } },
    async (request) => {
      const row = await vmOf(deps, request);
      if (row.userId !== userOf(request).id) await noteVm(deps, request, row, { action: 'vm_looked_into' });
      return vms.health(row.id);
    },
  );

  server.post(
    '/api/vm/:id/check',
    {
      schema: {
        params: vmParams,
        body: RunCheckRequest,
        response: answers(200, CheckResult),
        summary: 'Run a named check in one’s own VM',
      },
    },
    async (request) => {
      const row = await vmOf(deps, request);
      assertMayCheck(userOf(request), row);
      const { name } = request.body;
      await noteVm(deps, request, row, { action: 'vm_check_run', details: { check: name } });
      return vms.runCheck(row.id, name);
    },
  );
}

async function isSessionOpen(row: VmRow, { sessions }: HttpDeps): Promise<boolean> {
  if (row.sessionId === null) return false;
  return !isFinal((await sessions.get(ownerOf(row), row.sessionId)).status);
}
