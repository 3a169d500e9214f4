/** The way of a viewer to a desktop: a one-time ticket, then a WebSocket that carries RFB. */
import { z } from 'zod';
import { DesktopTicket } from '@airlock/contract/api';
import type { BulkSocket } from '@airlock/contract/bulk-socket';
import { AppError } from '@airlock/contract/errors';
import type { FastifyRequest } from 'fastify';
import { joinTunnel } from '../../desktop/tunnel.js';
import { createTally } from '../../lib/quota.js';
import { answers } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { admit, userOf } from '../identity.js';
import { noteVm } from '../note.js';
import { assertMayView } from '../vm.js';
import { addHandRoutes } from './desktop-hands.js';
import { vmOf, vmParams } from './vms.js';

declare module 'fastify' {
  interface FastifyRequest {
    desktop: BulkSocket | null;
    /** The session whose person looks at the desktop; null for a VM of its own. */
    watchedSession: string | null;
  }
}

const query = z.strictObject({ ticket: z.string().min(16).max(128) });

export function addDesktopRoutes(server: Server, deps: HttpDeps): void {
  const { vms, sessions, users, settings, heartbeatMs = 15_000 } = deps;
  const views = createViews(settings.AIRLOCK_USER_VIEWERS);
  addHandRoutes(server, { ...deps, isWatching: views.has });
  server.decorateRequest('desktop', null);
  server.decorateRequest('watchedSession', null);

  server.post(
    '/api/vm/:id/desktop-ticket',
    {
      schema: {
        params: vmParams,
        response: answers(200, DesktopTicket),
        summary: 'A ticket to see the desktop, good once',
      },
    },
    async (request) => {
      const row = await vmOf(deps, request);
      assertMayView(userOf(request), row);
      const { signIn, tokenHash } = request;
      const { ticket, expiresAt } = await users.createDesktopTicket(userOf(request).id, row.id, signIn, tokenHash);
      return { path: `/api/vm/${row.id}/desktop?ticket=${ticket}`, expiresAt: expiresAt.toISOString() };
    },
  );

  /** Everything that can be refused is refused here, before the upgrade, as a plain HTTP answer. */
  async function openDesktop(request: FastifyRequest<{ Params: { id: string }; Querystring: { ticket: string } }>) {
    if (!request.ws) {
      throw new AppError('invalid_request', 'This path is a WebSocket.', { hint: 'Connect with Upgrade: websocket.' });
    }
    // A browser cannot send the page secret with a WebSocket, so that its cookie says nothing here: the ticket tells who it is.
    admit(request, await users.redeemDesktopTicket(request.query.ticket, request.params.id));
    const row = await vmOf(deps, request);
    assertMayView(userOf(request), row);
    const release = views.open(userOf(request).id, row.id);
    try {
      await noteVm(deps, request, row, { action: 'desktop_opened' });
      request.watchedSession = row.sessionId;
      request.desktop = await vms.openDesktop(row.id);
      endWith(request, request.desktop, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  server.get(
    '/api/vm/:id/desktop',
    {
      websocket: true,
      config: { access: 'ticket' },
      schema: { params: vmParams, querystring: query },
      preHandler: openDesktop,
    },
    (socket, request) => {
      const { desktop, watchedSession } = request;
      if (!desktop) return socket.close(1011);
      const onInput = () => watchedSession !== null && sessions.noteActivity(watchedSession);
      joinTunnel(socket, desktop, { log: deps.log, pingMs: heartbeatMs, onInput });
    },
  );
}

/** Views of desktops that are open, so many of a user at a time. */
function createViews(limit: number) {
  const what = 'views of desktops at a time';
  const tally = createTally({ name: 'viewers', limit, what, setting: 'AIRLOCK_USER_VIEWERS' });
  const all = new Set<{ userId: string; vmId: string }>();
  return {
    has: (userId: string, vmId: string): boolean => [...all].some((one) => one.userId === userId && one.vmId === vmId),
    /** Until the returned function is called, which is idempotent. @throws AppError quota_exceeded */
    open(userId: string, vmId: string): () => void {
      const release = tally.take(userId);
      const view = { userId, vmId };
      all.add(view);
      return () => {
        all.delete(view);
        release();
      };
    },
  };
}

/** Ends the way to the desktop with the viewer's connection, and gives the viewer's place back. */
function endWith({ raw: { socket } }: FastifyRequest, desktop: BulkSocket, release: () => void): void {
  const end = (): void => {
    desktop.destroy();
    release();
  };
  socket.once('close', end);
  if (socket.destroyed) end();
}
