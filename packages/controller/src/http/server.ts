/** The HTTP server: plugins, checks and routes in their order. Does not listen; the caller does. */
import { randomUUID } from 'node:crypto';
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import websocket from '@fastify/websocket';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '@airlock/contract/errors';
import { createSockets, usualPatience } from './sockets.js';
import { addDashboard } from './dashboard.js';
import type { HttpDeps, Server } from './deps.js';
import { logFault, sendError, toAnswer } from './errors.js';
import { addIdentity } from './identity.js';
import { addressOf, createLimits, tooMany, trustOf } from './limits.js';
import { createRefusals } from './refusals.js';
import { addOpenApi } from './openapi.js';
import { baseUrl, isHttps, originOfHost, type Reach } from './origin.js';
import { addAuditRoutes } from './route/audit.js';
import { addCredentialRoutes } from './route/credentials.js';
import { addDesktopRoutes } from './route/desktop.js';
import { addLoginRoutes } from './route/login.js';
import { addPromptRoutes } from './route/prompts.js';
import { addProviderRoutes } from './route/providers.js';
import { addSessionRoutes } from './route/sessions.js';
import { addSystemRoutes } from './route/system.js';
import { addUserRoutes } from './route/users.js';
import { addVaultRoutes } from './route/vault.js';
import { addVmBackupRoutes } from './route/vm-backup.js';
import { addVmRoutes } from './route/vms.js';

const bodyLimit = 64 * 1024;
/** Largest WebSocket message of a viewer, in bytes: a long paste fits. */
const maxPayload = 1024 * 1024;
/** Milliseconds for a viewer to answer that the server closes. */
const goodbyeMs = 1_000;

/** A server that is ready to listen. Closing it ends event streams and WebSockets too. */
export async function buildServer(deps: HttpDeps): Promise<Server> {
  const sockets = createSockets(deps.settings.AIRLOCK_MAX_CONNECTIONS, deps.patience ?? usualPatience);
  const server: Server = Fastify({
    ...sockets.options,
    loggerInstance: deps.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    bodyLimit,
    trustProxy: trustOf(deps.settings.AIRLOCK_TRUSTED_PROXIES),
    forceCloseConnections: true,
    frameworkErrors: (error, request, reply) => void sendError(reply, toAnswer(error, request.id)),
  }).withTypeProvider<ZodTypeProvider>();
  server.decorate('sockets', sockets);
  sockets.watch(server);
  const reach = (): Reach => reachOf(server, deps);

  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.removeContentTypeParser('text/plain');
  server.setNotFoundHandler((request, reply) =>
    sendError(reply, new AppError('not_found', `There is nothing at ${request.method} ${pathOf(request.url)}.`)),
  );
  logRequests(server);

  await server.register(cookie);
  await addProtection(server, deps, reach);
  const limits = createLimits(server);
  const noteRefusal = createRefusals(deps.audit);
  server.setErrorHandler(async (error, request, reply) => {
    const answer = toAnswer(error, request.id);
    logFault(error, answer, request);
    const told = await limits.failed(answer, request, reply);
    if (told.code === 'login_token_invalid') await noteRefusal();
    return sendError(reply, told);
  });
  addIdentity(server, { ...deps, limits, reach });
  await addOpenApi(server);

  addSystemRoutes(server, deps);
  addLoginRoutes(server, deps, () => baseUrl(reach()));
  addUserRoutes(server, deps);
  addAuditRoutes(server, deps);
  addProviderRoutes(server, deps);
  addCredentialRoutes(server, deps);
  addVaultRoutes(server, deps);
  addPromptRoutes(server, deps);
  addSessionRoutes(server, deps);
  addVmRoutes(server, deps);
  addVmBackupRoutes(server, deps);
  addDesktopRoutes(server, deps);
  await addDashboard(server, deps.dashboardFolder);
  await server.ready();
  return server;
}

/** Where the server is reached: with AIRLOCK_PORT=0 the port is known once it listens. */
export function reachOf(server: Server, { settings }: Pick<HttpDeps, 'settings'>): Reach {
  const address = server.server.address();
  const port = address !== null && typeof address === 'object' ? address.port : settings.AIRLOCK_PORT;
  return { host: settings.AIRLOCK_HOST, port, publicUrl: settings.AIRLOCK_PUBLIC_URL };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asked each second by every page that shows a desktop: not a line of the log each time. */
    quiet?: boolean;
  }
}

const pathOf = (url: string): string => url.split('?', 1)[0] ?? '';

/** One line a request, without the query: it can hold a ticket. */
function logRequests(server: Server): void {
  server.addHook('onResponse', async (request, reply) => {
    const { quiet = false } = request.routeOptions.config;
    request.log[quiet && reply.statusCode < 400 ? 'debug' : 'info'](
      {
        method: request.method,
        path: pathOf(request.url),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        userId: request.user?.id,
      },
      'request',
    );
  });
}

async function addProtection(server: Server, deps: HttpDeps, reach: () => Reach): Promise<void> {
  await server.register(helmet, {
    strictTransportSecurity: isHttps(deps.settings.AIRLOCK_PUBLIC_URL),
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:', 'blob:'],
        connectSrc: ["'self'", (request) => socketOrigin(reach(), request.headers.host)],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
  });
  // Of calls that cost more than others, by their `rateLimit`.
  await server.register(rateLimit, {
    global: false,
    keyGenerator: (request) => request.user?.id ?? addressOf(request),
    errorResponseBuilder: (_request, { ttl, max }) =>
      tooMany(`More than ${max} such requests came in a minute.`, Math.ceil(ttl / 1000)),
  });
  await server.register(websocket, {
    preClose: endWebSockets,
    options: {
      perMessageDeflate: false,
      maxPayload,
      handleProtocols: (protocols) => (protocols.has('binary') ? 'binary' : false),
    },
  });
}

/** Says good-bye to every viewer, and does not wait for those who do not answer. */
function endWebSockets(this: FastifyInstance, done: () => void): void {
  const { clients } = this.websocketServer;
  for (const client of clients) client.close(1001, 'the controller is shutting down');
  setTimeout(() => clients.forEach((client) => client.terminate()), goodbyeMs).unref();
  done();
}

/** The WebSocket form of this controller's origin: not every browser counts it as 'self'. */
function socketOrigin(reach: Reach, host: string | undefined): string {
  return originOfHost(reach, host)?.replace(/^http/, 'ws') ?? "'self'";
}
