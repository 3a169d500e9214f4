/**
 * How long a connection may take to say what it wants, and which one goes when there are too many: strangers' before those of people
 * who have signed in, and of these one that rests. A request that has come whole may be answered for as long as that takes, and a
 * viewer looks on for as long as they like. What one user lets rest is bounded, so that nobody crowds out those who come.
 */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyHttpOptions, RawServerDefault } from 'fastify';
import { AppError } from '@airlock/contract/errors';
import type { Server } from './deps.js';

/** Milliseconds, each. */
export interface Patience {
  /** For the head of a request, and for the first one of a connection. */
  headMs: number;
  /** For a whole request; uploads have a limit of their own. */
  requestMs: number;
  /** How often both are looked at. */
  checkMs: number;
  /** For a connection on which nothing moves, either way: longer than any answer is silent. */
  silenceMs: number;
  /** For the next request. Longer than reverse proxies keep a connection that rests. */
  restMs: number;
}

export const usualPatience: Patience = {
  headMs: 10_000,
  requestMs: 60_000,
  checkMs: 5_000,
  silenceMs: 15 * 60_000,
  restMs: 72_000,
};

/** Requests that one connection may bring. */
const maxRequestsPerSocket = 1000;
/** The part of all connections that is kept free for new ones. */
const spare = 0.1;
/** The part of all connections that may rest for one user. */
const shareAtRest = 0.05;

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

export interface Sockets {
  /** For Fastify. */
  options: Required<
    Pick<
      FastifyHttpOptions<RawServerDefault>,
      | 'connectionTimeout'
      | 'keepAliveTimeout'
      | 'requestTimeout'
      | 'maxRequestsPerSocket'
      | 'http'
      | 'clientErrorHandler'
    >
  >;
  /** Begins to watch over the connections of this server. */
  watch(server: Server): void;
  /** The request is that of this user, who is signed in. */
  welcome(request: IncomingMessage, userId: string): void;
  /**
   * Calls `over` once, when the answer or its connection has ended. A request that waits behind another one on the same connection
   * (pipelining) never ends by itself when that breaks; nor does a WebSocket, which has no answer.
   */
  whenOver(request: IncomingMessage, response: ServerResponse, over: () => void): void;
  /**
   * The request may take as long as it likes, as long as it is never silent for `silenceMs`; until the returned function is called.
   * What is still to come then has to come in the time of a whole request.
   */
  upload(request: IncomingMessage, silenceMs: number): () => void;
}

interface Watched {
  patience: Patience;
  max: number;
  /** The connections there are, the one that rests for longest first, and what each is doing. */
  open: Map<Socket, Exchange | undefined>;
  /** Those that brought a request of somebody signed in, and whose it was last. */
  friends: WeakMap<Socket, string>;
  /** Those that are WebSockets now. */
  upgraded: WeakSet<Socket>;
  uploads: WeakSet<IncomingMessage>;
  /** What is still to be told that a connection has ended. */
  ends: WeakMap<Socket, Set<() => void>>;
}

/** `max`: connections at a time. */
export function createSockets(max: number, patience: Patience): Sockets {
  const all: Watched = {
    ...{ patience, max, open: new Map(), friends: new WeakMap(), upgraded: new WeakSet(), uploads: new WeakSet() },
    ends: new WeakMap(),
  };
  return {
    options: {
      connectionTimeout: patience.silenceMs,
      keepAliveTimeout: patience.restMs,
      requestTimeout: patience.requestMs,
      maxRequestsPerSocket,
      http: { headersTimeout: patience.headMs, connectionsCheckingInterval: patience.checkMs },
      clientErrorHandler: (error, socket) => refuse(all, error, socket),
    },
    watch: ({ server }) => {
      server.maxConnections = max;
      server.on('connection', (socket: Socket) => {
        all.open.set(socket, undefined);
        socket.once('close', () => all.open.delete(socket));
        if (all.open.size > max * (1 - spare)) giveUpOne(all, socket);
      });
      server.on('request', (request, response) => follow(all, { request, response }));
      server.on('upgrade', ({ socket }) => all.upgraded.add(socket));
    },
    welcome: ({ socket }, userId) => void all.friends.set(socket, userId),
    whenOver: (request, response, over) => whenOver(all, { request, response }, over),
    upload: (request, silenceMs) => upload(all, request, silenceMs),
  };
}

function follow(all: Watched, exchange: Exchange): void {
  const { socket } = exchange.request;
  const put = (doing: Exchange | undefined): void => {
    if (!all.open.delete(socket)) return;
    all.open.set(socket, doing);
  };
  put(exchange);
  exchange.response.once('close', () => {
    put(undefined);
    boundRest(all, all.friends.get(socket));
  });
}

/** Ends the connection of this user that rests for longest, when too many do. */
function boundRest(all: Watched, userId: string | undefined): void {
  if (userId === undefined) return;
  const atRest = [...all.open.keys()].filter((socket) => all.friends.get(socket) === userId && !isBusy(all, socket));
  if (atRest.length > Math.ceil(all.max * shareAtRest)) atRest[0]?.destroy();
}

/** What came whole is being answered, or an upload or a WebSocket is going on. */
function isBusy({ open, upgraded, uploads }: Watched, socket: Socket): boolean {
  const doing = open.get(socket);
  return upgraded.has(socket) || (doing !== undefined && (doing.request.complete || uploads.has(doing.request)));
}

/**
 * Ends the connection that rests for longest: of those that never brought anything of somebody signed in, or else of all that rest. When
 * no other can be it is the one that has just come, `fresh`, and only if that takes the last place.
 */
function giveUpOne(all: Watched, fresh: Socket): void {
  let resting: Socket | undefined;
  for (const socket of all.open.keys()) {
    if (socket === fresh) continue;
    if (!all.friends.has(socket)) return void socket.destroy();
    if (!isBusy(all, socket)) resting ??= socket;
  }
  // With no place left nobody would come at all, and nobody would be asked to go.
  if (resting || all.open.size >= all.max) (resting ?? fresh).destroy();
}

/** See `Sockets.whenOver`. One listener a connection, however many requests it brings. */
function whenOver({ ends }: Watched, { request: { socket }, response }: Exchange, over: () => void): void {
  const known = ends.get(socket);
  const waiting = known ?? new Set();
  if (!known) {
    ends.set(socket, waiting);
    socket.once('close', () => waiting.forEach((end) => end()));
  }
  const end = (): void => {
    if (waiting.delete(end)) over();
  };
  waiting.add(end);
  response.once('close', end);
  if (socket.destroyed) end();
}

function upload({ patience, uploads }: Watched, request: IncomingMessage, silenceMs: number): () => void {
  const { socket } = request;
  uploads.add(request);
  // Ends a connection that nothing comes from.
  socket.setTimeout(silenceMs);
  return () => {
    uploads.delete(request);
    socket.setTimeout(patience.silenceMs);
    if (request.complete) return;
    const end = setTimeout(() => socket.destroy(), patience.requestMs);
    request.once('close', () => clearTimeout(end));
  };
}

/** What cannot be read as a request, or did not come in time. Node asks once for each request that is late. */
function refuse({ open, uploads }: Watched, error: NodeJS.ErrnoException, socket: Socket): void {
  const doing = open.get(socket);
  const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (isLate && doing && uploads.has(doing.request)) return;
  const answer = isLate
    ? new AppError('request_timeout', 'The request did not come whole in time.')
    : new AppError('invalid_request', 'This is not a request of HTTP.');
  if (socket.writable && doing?.response.headersSent !== true) socket.write(textOf(answer));
  socket.destroy();
}

function textOf(error: AppError): string {
  const body = JSON.stringify({ error: error.toBody() });
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
