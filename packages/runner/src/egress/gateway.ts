/**
 * The egress gateway of one VM: a forward proxy on a unix socket in the VM folder, so that no other process can use it.
 * It adds the upstream's credentials, which the VM never sees, and refuses every target that is not public. `proxy-chain`
 * does the proxying; this module feeds it connections, decides and counts.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createServer, isIP, type Server as Listener, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { Server, type PrepareRequestFunctionResult } from 'proxy-chain';
import { AppError, type ErrorBody } from '@airlock/contract/errors';
import type { RunnerStatus } from '@airlock/contract/runner';
import { requestError, translateEnd, translateResponse } from './answer.js';
import { checkAddress, checkTarget, isListed, parseTarget, type Target } from './target.js';
import { tryUpstream, upstreamFailure, upstreamName } from './upstream.js';

/** How targets are reached. */
export interface Route {
  /** `http://USER:PASS@HOST:PORT`; null: targets are dialled directly. */
  upstreamUrl: string | null;
  directHosts: readonly string[];
}

export interface GatewayOptions extends Route {
  socketPath: string;
  /** Called when `lastError` has changed. */
  onUpstreamError: (error: ErrorBody) => void;
  onRefused?: (error: AppError) => void;
  /** All addresses of a name; the system's resolver by default. */
  resolve?: (host: string) => Promise<LookupAddress[]>;
  /** Judges an address that a name was found to have; the policy by default. */
  checkAddress?: typeof checkAddress;
}

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

type Lookup = NonNullable<PrepareRequestFunctionResult['dnsLookup']>;

/** What the parts of one gateway share. */
interface Ctx {
  options: GatewayOptions;
  sockets: Set<Socket>;
  /** In force; replaced as a whole. */
  route: Route;
  /** By what route the newest request of a connection went to an upstream; none where it goes out directly. */
  via: WeakMap<Socket, Route>;
  total: { connections: number; refused: number; bytesUp: number; bytesDown: number };
  lastError: ErrorBody | null;
}

const resolveAll = (host: string): Promise<LookupAddress[]> => promisify(systemLookup)(host, { all: true });

/** Opens the gateway; it listens when the promise resolves. */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const total = { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0 };
  const { upstreamUrl, directHosts } = options;
  const route: Route = { upstreamUrl, directHosts };
  const ctx: Ctx = { options, sockets: new Set(), route, via: new WeakMap(), total, lastError: null };
  const proxy = new Server({
    authRealm: 'airlock',
    prepareRequestFunction: ({ request }) => prepare(ctx, request),
  });
  proxy.server.prependListener('request', ({ socket }, response) =>
    translateResponse(response, (status) => translate(ctx, socket, status)),
  );
  // Half-open sockets are proxy-chain's way (a guest may send its end first); the end towards the guest closes the socket
  // altogether, because the `nc` between passes no other end on to the guest.
  const listener = createServer({ allowHalfOpen: true }, (socket) => admit(ctx, proxy, socket));
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

/** Counts a connection of the guest and hands it to the proxy. */
function admit(ctx: Ctx, proxy: Server, socket: Socket): void {
  const { sockets, total } = ctx;
  total.connections += 1;
  sockets.add(socket);
  socket.once('finish', () => socket.destroy());
  socket.once('close', () => {
    sockets.delete(socket);
    total.bytesUp += socket.bytesRead;
    total.bytesDown += socket.bytesWritten;
  });
  // proxy-chain takes a socket without remote address for one that has already been closed.
  Object.defineProperty(socket, 'remoteAddress', { value: 'guest' });
  translateEnd(socket, (status) => translate(ctx, socket, status));
  proxy.server.emit('connection', socket);
}

/** Decides about one request of the guest: by the upstream, directly, or not at all. */
async function prepare(ctx: Ctx, request: IncomingMessage): Promise<PrepareRequestFunctionResult> {
  const { method = '', url = '', socket } = request;
  const { route } = ctx;
  try {
    const target = parseTarget(method, url);
    checkTarget(target);
    ctx.via.delete(socket);
    if (route.upstreamUrl === null || isListed(target.host, route.directHosts)) return await dialDirectly(ctx, target);
    ctx.via.set(socket, route);
    return { upstreamProxyUrl: route.upstreamUrl };
  } catch (error) {
    const problem = AppError.from(error);
    if (problem.code === 'egress_refused') {
      ctx.total.refused += 1;
      ctx.options.onRefused?.(problem);
    }
    throw requestError(problem);
  }
}

/** Resolves and judges the name now, and pins the answer: what is dialled is exactly what was judged. */
async function dialDirectly({ options }: Ctx, target: Target): Promise<PrepareRequestFunctionResult> {
  const { resolve = resolveAll, checkAddress: judge = checkOwnAndPublic } = options;
  const family = isIP(target.host);
  const addresses = family === 0 ? await resolveOrFail(resolve, target.host) : [{ address: target.host, family }];
  for (const { address } of addresses) judge(address, target.host, target.port);
  return { upstreamProxyUrl: null, dnsLookup: pinned(addresses) };
}

async function resolveOrFail(resolve: typeof resolveAll, host: string): Promise<LookupAddress[]> {
  try {
    return await resolve(host);
  } catch (cause) {
    throw new AppError('not_found', `The name ${host} cannot be resolved.`, { cause });
  }
}

/** What a failed answer to the guest says about the upstream; null when it says nothing about it. */
function translate(ctx: Ctx, socket: Socket, status: number): AppError | null {
  const route = ctx.via.get(socket);
  if (!route || route.upstreamUrl === null) return null;
  return record(ctx, route, upstreamFailure(status, upstreamName(route.upstreamUrl)));
}

function record(ctx: Ctx, route: Route, error: AppError | null): AppError | null {
  // What is wrong with an upstream that is not the present one any more is nobody's concern but the guest's who waits for it.
  if (!error || route !== ctx.route) return error;
  // Each request of the guest may fail in the same way: news is only what differs.
  const isNews = ctx.lastError?.message !== error.message;
  ctx.lastError = error.toBody();
  if (isNews) ctx.options.onUpstreamError(ctx.lastError);
  return error;
}

async function tryHosts(ctx: Ctx, hosts: readonly string[], signal: AbortSignal): Promise<void> {
  const { route } = ctx;
  const { upstreamUrl, directHosts } = route;
  if (upstreamUrl === null) return;
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
  if (!unreachable.includes(null)) record(ctx, route, first);
}

function reroute(ctx: Ctx, { upstreamUrl, directHosts }: Route): boolean {
  const isSame = upstreamUrl === ctx.route.upstreamUrl && directHosts.join() === ctx.route.directHosts.join();
  if (isSame) return false;
  ctx.route = { upstreamUrl, directHosts };
  ctx.lastError = null;
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

/** The policy, and this host's own addresses, which may be public ones. */
function checkOwnAndPublic(address: string, host: string, port: number): void {
  checkAddress(address, host, port);
  const own = Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === address));
  if (own) {
    throw new AppError('egress_refused', `The egress gateway refuses ${host}:${port}: ${address} is this host.`);
  }
}

/** A resolver that knows one answer. */
function pinned(addresses: readonly LookupAddress[]): Lookup {
  return ((_host: string, options: unknown, callback: (error: null, ...answer: unknown[]) => void) => {
    const all = typeof options === 'object' && options !== null && 'all' in options && options.all === true;
    if (all) callback(null, addresses);
    else callback(null, addresses[0]?.address, addresses[0]?.family);
  }) as unknown as Lookup;
}
