/**
 * How long a connection may take to say what it wants, and which one goes when there are too many: strangers' before those of people
 * who have signed in, and of these one that rests. A request that has come whole may be answered for as long as that takes.
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
  /** The request is that of somebody who is signed in. */
  welcome(request: IncomingMessage): void;
  /**
   * The request may take as long as it likes, as long as it is never silent for `silenceMs`; until the returned function is called.
   * What is still to come then has to come in the time of a whole request.
   */
  upload(request: IncomingMessage, silenceMs: number): () => void;
}

interface Watched {
  patience: Patience;
  /** The connections there are, the one that rests for longest first, and what each is doing. Not those of viewers. */
  open: Map<Socket, Exchange | undefined>;
  /** Those that brought a request of somebody signed in. */
  friends: WeakSet<Socket>;
  uploads: WeakSet<IncomingMessage>;
}

/** `max`: connections at a time. */
export function createSockets(max: number, patience: Patience): Sockets {
  const all: Watched = { patience, open: new Map(), friends: new WeakSet(), uploads: new WeakSet() };
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
      server.on('upgrade', ({ socket }) => all.open.delete(socket));
    },
    welcome: ({ socket }) => void all.friends.add(socket),
    upload: (request, silenceMs) => upload(all, request, silenceMs),
  };
}

function follow({ open }: Watched, exchange: Exchange): void {
  const { socket } = exchange.request;
  const put = (doing: Exchange | undefined): void => {
    if (!open.delete(socket)) return;
    open.set(socket, doing);
  };
  put(exchange);
  exchange.response.once('close', () => put(undefined));
}

/**
 * Ends the connection that rests for longest: of those that never brought anything of somebody signed in, or else of all that rest; the
 * one that has just come, `fresh`, only when no other can be.
 */
function giveUpOne({ open, friends, uploads }: Watched, fresh: Socket): void {
  let resting: Socket | undefined;
  for (const [socket, doing] of open) {
    if (socket === fresh) continue;
    if (!friends.has(socket)) return void socket.destroy();
    const isBusy = doing !== undefined && (doing.request.complete || uploads.has(doing.request));
    if (!isBusy) resting ??= socket;
  }
  (resting ?? fresh).destroy();
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
