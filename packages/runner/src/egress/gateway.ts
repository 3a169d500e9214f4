/**
 * The egress gateway of one VM: a forward proxy on a unix socket in the VM folder, so that no other process can use it.
 * It adds the upstream's credentials, which the VM never sees, and refuses every target that is not public. One connection is one
 * request, or one tunnel; this module admits connections, has them judged, and counts.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer, type Server as Listener, type Socket } from 'node:net';
import { isListed } from '@airlock/contract/address';
import { AppError, type ErrorBody } from '@airlock/contract/errors';
import type { RunnerStatus } from '@airlock/contract/runner';
import { refuse } from './answer.js';
import { bareHead, parseHead, readHead } from './head.js';
import { createJudged, type Judged, type Resolve } from './names.js';
import { forward, type Plain } from './request.js';
import type { checkAddress } from './target.js';
import { openWay } from './tunnel.js';
import { tryUpstream } from './upstream.js';
import { checkOwnAndPublic, findWay, type Route } from './way.js';

/** What a guest may take of its gateway; times in milliseconds. */
const defaultLimits = {
  /** Connections at a time; a browser has some 40 through one proxy. */
  connections: 256,
  /** Until the head of a request has come. */
  headMs: 15_000,
  /** Without a byte either way; a model may think for long before it answers. */
  idleMs: 30 * 60_000,
};

export interface GatewayOptions extends Route {
  socketPath: string;
  /** Refuses everything until its first `reroute`: nobody has the VM yet. */
  closed?: boolean;
  /** Called for each failure of the upstream that was not told within `toldAgainMs`: failures may come by turns, with each request. */
  onUpstreamError: (error: ErrorBody) => void;
  /** Called for each refusal by the policy, and for the first connection that is one too many. */
  onRefused?: (error: AppError) => void;
  limits?: Partial<typeof defaultLimits>;
  /** All addresses of a name; what this host knows by default. */
  resolve?: Resolve;
  /** Judges an address that a name was found to have; the policy by default. */
  checkAddress?: typeof checkAddress;
  /** Milliseconds of a clock. */
  now?: () => number;
}

/** Milliseconds for which the same failure is told once. */
const toldAgainMs = 60_000;

export interface Gateway {
  counters(): RunnerStatus['egress'];
  /**
   * Asks the upstream for each of these hosts, but those dialled directly. Records that it refuses the credentials, and that it
   * is unreachable when it answers for none of them: one that it drops is one that it does not want visited.
   */
  tryUpstream(hosts: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Reaches by `next` what is asked for from now on, and forgets what was wrong with the upstream before; connections that stand
   * keep the way that they went. False when that was the way already.
   */
  reroute(next: Route): boolean;
  /** Ends every connection and removes the socket. */
  close(): Promise<void>;
}

/** What the parts of one gateway share. */
interface Ctx {
  options: GatewayOptions;
  limits: typeof defaultLimits;
  sockets: Set<Socket>;
  /** In force; replaced as a whole. null: closed. */
  route: Route | null;
  judged: Judged;
  /** Takes the framing off a plain request, and puts it on its answer. */
  http: HttpServer;
  /** The plain request of a connection, until it has come. */
  plain: WeakMap<Socket, Plain>;
  total: { connections: number; refused: number; bytesUp: number; bytesDown: number };
  /** There was one connection too many. */
  wasFull: boolean;
  lastError: ErrorBody | null;
  /** By the message of a failure of the present upstream: when it was told. There are as many as reasons. */
  told: Map<string, number>;
}

/** Opens the gateway; it listens when the promise resolves. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { upstreamUrl, directHosts, allowedPrivateHosts = [], resolve } = options;
  const ctx: Ctx = {
    ...{ options, limits: { ...defaultLimits, ...options.limits }, sockets: new Set(), judged: createJudged(resolve) },
    ...{
      route: options.closed ? null : { upstreamUrl, directHosts, allowedPrivateHosts },
      plain: new WeakMap(),
      wasFull: false,
      lastError: null,
      told: new Map(),
    },
    http: createHttpServer(),
    total: { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0 },
  };
  takeRequests(ctx);
  // Half-open: a guest may send its end first. The end towards the guest closes the socket altogether, because the `nc` between passes
  // no other end on to the guest.
  const listener = createServer({ allowHalfOpen: true }, (socket) => admit(ctx, socket));
  // A runner that was killed leaves its socket behind; the folder is claimed, so nobody listens there.
  await rm(options.socketPath, { force: true });
  listener.listen(options.socketPath);
  await once(listener, 'listening');
  return {
    counters: () => counters(ctx),
    tryUpstream: (hosts, signal) => tryHosts(ctx, hosts, signal),
    reroute: (next) => reroute(ctx, next),
    close: () => close(ctx, listener),
  };
}

/** Requests behind the one of a connection that are borne: a client may have sent some ahead. */
const unansweredAtMost = 16;

/** The server listens nowhere: it is given connections whose head was judged, and the bare one in its place. */
function takeRequests(ctx: Ctx): void {
  const { http, plain } = ctx;
  // Not in Node's types: a guest that has sent its end gets its answer.
  Object.assign(http, { httpAllowHalfOpen: true });
  const unanswered = new WeakMap<Socket, number>();
  http.on('request', (incoming, response) => {
    const found = plain.get(incoming.socket);
    // Whatever follows the request of this connection is nobody's: the answer ends the connection.
    plain.delete(incoming.socket);
    if (found) return forward(incoming, response, found, (error) => record(ctx, found.way.route, error));
    // Node keeps each of them until the answer has gone: a guest that goes on and on loses the connection.
    const more = (unanswered.get(incoming.socket) ?? 0) + 1;
    unanswered.set(incoming.socket, more);
    if (more > unansweredAtMost) incoming.socket.destroy();
  });
}

/** Counts a connection of the guest, and answers it; nothing that it does costs more than itself. */
function admit(ctx: Ctx, socket: Socket): void {
  const { sockets, total, limits } = ctx;
  total.connections += 1;
  sockets.add(socket);
  socket.setTimeout(limits.idleMs, () => socket.destroy());
  // A guest that goes away in the middle is no news.
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  socket.once('close', () => {
    sockets.delete(socket);
    total.bytesUp += socket.bytesRead;
    total.bytesDown += socket.bytesWritten;
  });
  serve(ctx, socket).catch((error: unknown) => {
    const problem = AppError.from(error);
    if (problem.code === 'egress_refused') {
      total.refused += 1;
      ctx.options.onRefused?.(problem);
    }
    if (problem.code === 'aborted') socket.destroy();
    else refuse(socket, problem);
  });
}

/** Decides about the one request of a connection: by the upstream, directly, or not at all. */
async function serve(ctx: Ctx, socket: Socket): Promise<void> {
  const { sockets, limits, options, judged, plain, http } = ctx;
  if (sockets.size > limits.connections) throw tooMany(ctx);
  const head = parseHead(await readHead(socket, limits.headMs));
  const { resolve, checkAddress: check = checkOwnAndPublic } = options;
  const { route } = ctx;
  if (route === null) throw new AppError('egress_refused', 'Nobody has this VM yet: it reaches nothing.');
  const way = await findWay(head.method, head.url, { route, resolve, judged, checkAddress: check });
  if (head.method === 'CONNECT') {
    try {
      return await openWay(socket, way, limits.idleMs);
    } catch (error) {
      throw record(ctx, way.route, AppError.from(error));
    }
  }
  plain.set(socket, { head, way });
  socket.unshift(Buffer.from(bareHead(head)));
  http.emit('connection', socket);
  socket.resume();
}

function tooMany(ctx: Ctx): AppError {
  const { total, limits, options } = ctx;
  const error = new AppError(
    'egress_busy',
    `This VM has ${limits.connections} connections through its egress gateway already.`,
  );
  total.refused += 1;
  if (!ctx.wasFull) options.onRefused?.(error);
  ctx.wasFull = true;
  return error;
}

/** Keeps what is wrong with the present upstream. */
function record(ctx: Ctx, route: Route, error: AppError): AppError {
  if (error.code !== 'upstream_auth_failed' && error.code !== 'upstream_unreachable') return error;
  // What is wrong with an upstream that is not the present one any more is nobody's concern but the guest's who waits for it.
  if (route !== ctx.route) return error;
  ctx.lastError = error.toBody();
  const now = (ctx.options.now ?? performance.now.bind(performance))();
  if (now - (ctx.told.get(error.message) ?? -Infinity) < toldAgainMs) return error;
  ctx.told.set(error.message, now);
  ctx.options.onUpstreamError(ctx.lastError);
  return error;
}

async function tryHosts(ctx: Ctx, hosts: readonly string[], signal: AbortSignal): Promise<void> {
  const { route } = ctx;
  if (route === null || route.upstreamUrl === null) return;
  const { upstreamUrl, directHosts } = route;
  const tried = hosts.filter((name) => !isListed(name, directHosts));
  // All at once: where nobody answers, each takes its whole deadline.
  const unreachable = await Promise.all(
    tried.map(async (host) => {
      const failure = await tryUpstream(upstreamUrl, `${host}:443`, signal);
      if (failure?.code !== 'upstream_auth_failed') return failure;
      record(ctx, route, failure);
      return null;
    }),
  );
  const [first = null] = unreachable;
  if (first && !unreachable.includes(null)) record(ctx, route, first);
}

function reroute(ctx: Ctx, { upstreamUrl, directHosts, allowedPrivateHosts = [] }: Route): boolean {
  const next: Route = { upstreamUrl, directHosts, allowedPrivateHosts };
  if (JSON.stringify(next) === JSON.stringify(ctx.route)) return false;
  ctx.route = next;
  ctx.lastError = null;
  ctx.told.clear();
  return true;
}

function counters({ total, sockets, lastError }: Ctx): RunnerStatus['egress'] {
  return {
    ...total,
    bytesUp: sum(sockets, total.bytesUp, (socket) => socket.bytesRead),
    bytesDown: sum(sockets, total.bytesDown, (socket) => socket.bytesWritten),
    lastError,
  };
}

async function close({ sockets, options }: Ctx, listener: Listener): Promise<void> {
  for (const socket of sockets) socket.destroy();
  if (listener.listening) {
    listener.close();
    await once(listener, 'close');
  }
  await rm(options.socketPath, { force: true });
}

function sum(sockets: Iterable<Socket>, start: number, figure: (socket: Socket) => number): number {
  let result = start;
  for (const socket of sockets) result += figure(socket);
  return result;
}
