/**
 * The door of the fake internet: an HTTP forward proxy with Basic auth on one or more ports.
 * It checks the password and hands everything else to the intercepting proxy behind it; it never dials any other address.
 */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';

/** One proxied connection or plain request, as the upstream's own log would show it. */
export interface UpstreamUse {
  /** Port of the upstream on which it came, that is: which user's. */
  port: number;
  /** `host:port` of a CONNECT, or the host of a plain request. */
  target: string;
  authorized: boolean;
}

export interface UpstreamProxy {
  ports: number[];
  uses: UpstreamUse[];
  /** The upstream port by which a connection reached the interceptor, from that connection's source port. */
  portOf(interceptorRemotePort: number | undefined): number | undefined;
  close(): Promise<void>;
}

export interface UpstreamProxyOptions {
  /** Ports to listen on at 127.0.0.1; 0 chooses a free one. */
  ports: readonly number[];
  userName: string;
  password: string;
  /** Port of the intercepting proxy on 127.0.0.1. */
  interceptorPort: number;
}

/** Listens on all ports before it resolves. @throws EADDRINUSE, with nothing left listening. */
export async function openUpstreamProxy(options: UpstreamProxyOptions): Promise<UpstreamProxy> {
  const uses: UpstreamUse[] = [];
  const sockets = new Set<Duplex>();
  const sourcePorts = new Map<number, number>();
  const door: Door = { options, uses, sockets, sourcePorts };
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  try {
    for (const port of options.ports) servers.push(await listen(door, port));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    uses,
    portOf: (remotePort) => (remotePort === undefined ? undefined : sourcePorts.get(remotePort)),
    close,
  };
}

interface Door {
  options: UpstreamProxyOptions;
  uses: UpstreamUse[];
  sockets: Set<Duplex>;
  sourcePorts: Map<number, number>;
}

async function listen(door: Door, port: number): Promise<Server> {
  const server = createServer((request, response) => forwardPlain(door, request, response));
  server.on('connect', (request, socket, head) => forwardConnect(door, request, socket, head));
  server.on('connection', (socket) => track(door, socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}

function track(door: Door, socket: Duplex): void {
  door.sockets.add(socket);
  // A peer may vanish at any time; 'close' follows and is all that matters here.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => door.sockets.delete(socket));
}

function admit(door: Door, request: IncomingMessage, target: string): boolean {
  const expected = Buffer.from(`${door.options.userName}:${door.options.password}`);
  const [scheme, credentials] = (request.headers['proxy-authorization'] ?? '').split(' ');
  const found = Buffer.from(scheme?.toLowerCase() === 'basic' ? (credentials ?? '') : '', 'base64');
  const authorized = found.length === expected.length && timingSafeEqual(found, expected);
  door.uses.push({ port: request.socket.localPort ?? 0, target, authorized });
  return authorized;
}

const challenge = 'Basic realm="upstream"';

function forwardConnect(door: Door, request: IncomingMessage, client: Duplex, head: Buffer): void {
  const target = request.url ?? '';
  if (!admit(door, request, target)) {
    client.end(
      `HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: ${challenge}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
    return;
  }
  const inner = dialInterceptor(door, request, () => {
    inner.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    inner.write(head);
    inner.pipe(client);
    client.pipe(inner);
  });
  client.on('close', () => inner.destroy());
  inner.on('close', () => client.destroy());
}

function dialInterceptor(door: Door, request: IncomingMessage, onConnect: () => void): Socket {
  const socket = connect(door.options.interceptorPort, '127.0.0.1', () => {
    if (socket.localPort !== undefined) door.sourcePorts.set(socket.localPort, request.socket.localPort ?? 0);
    onConnect();
  });
  track(door, socket);
  return socket;
}

function forwardPlain(door: Door, request: IncomingMessage, response: ServerResponse): void {
  const url = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : undefined;
  if (!admit(door, request, url?.host ?? '')) {
    response.writeHead(407, { 'proxy-authenticate': challenge, connection: 'close' }).end();
    return;
  }
  if (url === undefined) {
    response.writeHead(400).end('This is a proxy: the request line must carry an absolute http:// URL.\n');
    return;
  }
  const { 'proxy-authorization': _password, 'proxy-connection': _hop, ...headers } = request.headers;
  const onward = httpRequest(
    {
      createConnection: () => dialInterceptor(door, request, () => undefined),
      method: request.method,
      path: url.href,
      headers,
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on('error', (error) => response.destroy(error));
  request.pipe(onward);
}
