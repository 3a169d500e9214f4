/** VMs: list, look at, stop and start, check, destroy. */
import { z } from 'zod';
import { CreateVmRequest, RunCheckRequest, Vm, VmList } from '@airlock/contract/api';
import { CheckResult, GuestHealth } from '@airlock/contract/guest';
import { VmId } from '@airlock/contract/ids';
import { isFinal } from '@airlock/contract/session';
import type { FastifyRequest } from 'fastify';
import type { VmRow } from '../../vm/vm.js';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
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
  const { vms, settings } = deps;
  const shown: Shown = async (row) =>
    toVm(row, {
      ...{ idleS: settings.AIRLOCK_CLI_IDLE_S, uses: vms.usesOf(row.userId) },
      behind: await vms.behind(row),
    });
  addList(server, deps, shown);
  addOne(server, deps, shown);
  addPower(server, deps, shown);
  addGuest(server, deps);
}

type Shown = (row: VmRow) => Promise<Vm>;

function addList(server: Server, { vms }: HttpDeps, shown: Shown): void {
  server.get(
    '/api/vm',
    { schema: { response: answers(200, VmList), summary: 'The caller’s VMs; for administrators all' } },
    async (request) => {
      const user = userOf(request);
      const rows = await vms.list(user.role === 'admin' ? null : user.id);
      return { vms: await Promise.all(rows.map(shown)) };
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
      const row = await vms.createBrowser({ userId: userOf(request).id, sessionId: null, destroyAt });
      return reply.status(202).send(await shown(row));
    },
  );
}

function addOne(server: Server, deps: HttpDeps, shown: Shown): void {
  const { vms } = deps;
  server.get(
    '/api/vm/:id',
    { schema: { params: vmParams, response: answers(200, Vm), summary: 'One VM' } },
    async (request) => shown(await vmOf(deps, request)),
  );

  server.delete(
    '/api/vm/:id',
    { schema: { params: vmParams, response: answers(204, noContent), summary: 'Destroy a VM with all it holds' } },
    async (request, reply) => {
      const row = await vmOf(deps, request);
      assertMayDestroy(row, await isSessionOpen(row, deps));
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
        summary: 'Power a CLI VM off, also in the middle of prompts; its disk stays, and its next use starts it',
      },
    },
    async (request) => shown(await vms.stop((await vmOf(deps, request)).id)),
  );

  const starts = {
    start: 'Start a CLI VM; answers when it is on its way',
    restart: 'Stop a CLI VM and start it again; answers when it is on its way',
  };
  for (const verb of ['start', 'restart'] as const) {
    server.post(
      `/api/vm/:id/${verb}`,
      { schema: { params: vmParams, response: answers(202, Vm), summary: starts[verb] } },
      async (request, reply) => reply.status(202).send(await shown(await vms[verb]((await vmOf(deps, request)).id))),
    );
  }
}

function addGuest(server: Server, deps: HttpDeps): void {
  const { vms } = deps;
  server.get(
    '/api/vm/:id/health',
    { schema: { params: vmParams, response: answers(200, GuestHealth), summary: 'What the agent in the VM reports' } },
    async (request) => vms.health((await vmOf(deps, request)).id),
  );

  server.post(
    '/api/vm/:id/check',
    {
      schema: {
        params: vmParams,
        body: RunCheckRequest,
        response: answers(200, CheckResult),
        summary: 'Run a named check in the VM',
      },
    },
    async (request) => {
      const row = await vmOf(deps, request);
      assertMayCheck(row);
      return vms.runCheck(row.id, request.body.name);
    },
  );
}

async function isSessionOpen(row: VmRow, { sessions }: HttpDeps): Promise<boolean> {
  if (row.sessionId === null) return false;
  return !isFinal((await sessions.get(row.userId, row.sessionId)).status);
}
