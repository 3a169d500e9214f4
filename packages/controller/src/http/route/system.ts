/** The controller itself: is it up, what is it made of, stop its VMs. */
import { z } from 'zod';
import { SystemStatus } from '@airlock/contract/api';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { actorOf } from '../identity.js';
import { noteVm } from '../note.js';

const Health = z.strictObject({ status: z.literal('ok') });

export function addSystemRoutes(server: Server, deps: HttpDeps): void {
  const { sessions, vms, describeSystem } = deps;
  server.get(
    '/healthz',
    {
      config: { access: 'public', quiet: true },
      schema: { response: answers(200, Health), summary: 'Answers while the controller serves' },
    },
    async () => ({ status: 'ok' as const }),
  );

  server.get(
    '/api/system',
    {
      config: { access: 'admin' },
      schema: { response: answers(200, SystemStatus), summary: 'What runs here, and on what' },
    },
    async () => {
      const [facts, all, lostVmFolders] = await Promise.all([describeSystem(), vms.list(null), vms.lostFolders()]);
      const running = all.filter(({ state }) => state === 'running').length;
      return { ...facts, vms: { running, total: all.length }, lostVmFolders };
    },
  );

  server.post(
    '/api/system/stop-vms',
    {
      config: { access: 'admin' },
      schema: {
        response: answers(204, noContent),
        summary: 'End open sign-ins, destroy browser VMs and stop CLI VMs, keeping their disks',
      },
    },
    async (request, reply) => {
      const running = (await vms.list(null)).filter(({ state }) => state === 'starting' || state === 'running');
      for (const row of running) await noteVm(deps, request, row, { action: 'vm_stopped' });
      // First: a sign-in whose VM is not there yet would make it afterwards.
      await sessions.endAll(actorOf(request));
      await vms.stopAll();
      return reply.status(204).send(undefined);
    },
  );
}
