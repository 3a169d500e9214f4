/** Sign-ins: start, follow, help along, cancel. A session of somebody else is `not_found`. */
import { z } from 'zod';
import { SessionList, StartSessionRequest, StartSessionResponse } from '@airlock/contract/api';
import { SessionId } from '@airlock/contract/ids';
import { requireProvider } from '@airlock/contract/provider/registry';
import { CodeRequest, FallbackRequest, isFinal, Session } from '@airlock/contract/session';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { createTally } from '../../lib/quota.js';
import { sessionEvents, type Subscribe } from '../session-stream.js';
import { actorOf, userOf } from '../identity.js';

const params = z.strictObject({ id: SessionId });

export function addSessionRoutes(server: Server, deps: HttpDeps): void {
  addStart(server, deps);
  addLook(server, deps);
  addEnd(server, deps);
  addHelp(server, deps);
  addEvents(server, deps);
}

function addStart(server: Server, { sessions }: HttpDeps): void {
  server.post(
    '/api/vm/auth',
    {
      schema: {
        body: StartSessionRequest,
        response: answers(202, StartSessionResponse),
        summary: 'Start a sign-in; answers at once',
      },
    },
    async (request, reply) => {
      const userId = userOf(request).id;
      const session = await sessions.start(userId, requireProvider(request.body.provider).id, actorOf(request));
      return reply.status(202).send({ sessionId: session.id, provider: session.provider, status: session.status });
    },
  );
}

function addLook(server: Server, { sessions }: HttpDeps): void {
  server.get(
    '/api/vm/auth',
    { schema: { response: answers(200, SessionList), summary: 'The caller’s newest sessions, at most 50' } },
    async (request) => ({ sessions: await sessions.list(userOf(request).id) }),
  );

  server.get(
    '/api/vm/auth/:id',
    { schema: { params, response: answers(200, Session), summary: 'One session' } },
    async (request) => sessions.get(userOf(request).id, request.params.id),
  );
}

function addEnd(server: Server, { sessions }: HttpDeps): void {
  server.post(
    '/api/vm/auth/:id/cancel',
    { schema: { params, response: answers(200, Session), summary: 'End a session, whatever it is doing' } },
    async (request) => sessions.cancel(userOf(request).id, request.params.id, actorOf(request)),
  );
}

function addHelp(server: Server, { sessions }: HttpDeps): void {
  server.post(
    '/api/vm/auth/:id/extend',
    { schema: { params, response: answers(200, Session), summary: 'Give the person more time' } },
    async (request) => sessions.extend(userOf(request).id, request.params.id),
  );

  server.post(
    '/api/vm/auth/:id/fallback',
    {
      schema: {
        params,
        body: FallbackRequest,
        response: answers(200, Session),
        summary: 'Start the login anew in the same VM, by the same or another method',
      },
    },
    async (request) => {
      const { method, settings } = request.body;
      return sessions.restartLogin(userOf(request).id, request.params.id, method, settings);
    },
  );

  server.post(
    '/api/vm/auth/:id/code',
    {
      schema: {
        params,
        body: CodeRequest,
        response: answers(200, Session),
        summary:
          'Give the CLI the code that the provider’s page showed, or the address to which it led; it is kept nowhere',
      },
    },
    async (request) => sessions.typeCode(userOf(request).id, request.params.id, request.body.code),
  );
}

function addEvents(server: Server, { sessions, settings, heartbeatMs = 15_000 }: HttpDeps): void {
  const limit = settings.AIRLOCK_USER_STREAMS;
  const what = 'event streams at a time';
  const streams = createTally({ name: 'streams', limit, what, setting: 'AIRLOCK_USER_STREAMS' });
  const open = new Set<{ end(): void }>();
  server.addHook('preClose', async () => open.forEach((stream) => stream.end()));

  server.get(
    '/api/vm/auth/:id/events',
    {
      exposeHeadRoute: false,
      schema: {
        params,
        summary: 'Follow a session as server-sent events; each `session` event carries the whole session',
        response: {
          ...answers(
            204,
            noContent.describe('The final state was already received (Last-Event-ID): do not connect again.'),
          ),
          200: { description: 'The events', content: { 'text/event-stream': { schema: z.string() } } },
        },
      },
    },
    async (request, reply) => {
      const userId = userOf(request).id;
      const { id } = request.params;
      const session = await sessions.get(userId, id);
      // An EventSource connects again when the stream ends; 204 is the answer that stops it.
      if (isFinal(session.status) && request.headers['last-event-id'] === String(session.revision)) {
        return reply.status(204).send(undefined);
      }
      const release = streams.take(userId);
      const subscribe: Subscribe = (listener) => sessions.subscribe(userId, id, listener);
      const stream = await sessionEvents(subscribe, heartbeatMs).catch((error: unknown) => {
        release();
        throw error;
      });
      stream.once('close', release);
      server.sockets.whenOver(request.raw, reply.raw, () => stream.destroy());
      open.add(stream);
      stream.once('close', () => open.delete(stream));
      return reply
        .type('text/event-stream')
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no')
        .serializer((payload: unknown) => String(payload))
        .send(stream as unknown as string);
    },
  );
}
