/**
 * For tests of the gateway: a guest that writes bytes, and a server, or an upstream proxy, that keeps every byte and understands none
 * but an exact request.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openGateway, type Gateway, type GatewayOptions } from './gateway.js';

/** What a connection has brought. */
export interface Recording {
  bytes: Buffer;
  closed: Promise<void>;
}

export interface Recorder {
  port: number;
  /** One a connection, in their order. */
  recordings: Recording[];
  close(): Promise<void>;
}

/** Listens on loopback and answers once a request is whole; by default with status 200 and `ok`. */
export async function openRecorder(answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'): Promise<Recorder> {
  const recordings: Recording[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const recording = { bytes: Buffer.alloc(0), closed: closed(socket) };
    recordings.push(recording);
    sockets.add(socket);
    let answered = false;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      recording.bytes = Buffer.concat([recording.bytes, chunk]);
      if (answered || readExact(recording.bytes).request === null) return;
      answered = true;
      socket.write(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    recordings,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface ExactRequest {
  method: string;
  url: string;
  /** Names in lower case. */
  headers: [string, string][];
  body: Buffer;
}

/**
 * The request that `bytes` begin with, by the letter of RFC 9112; null while it is not whole. `rest` are the bytes after it.
 * @throws for what is no exact request
 */
export function readExact(bytes: Buffer): { request: ExactRequest | null; rest: Buffer } {
  const none = { request: null, rest: Buffer.alloc(0) };
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return none;
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const [, method = '', url = ''] = /^([A-Z]+) ([!-~]+) HTTP\/1\.1$/.exec(first) ?? [];
  const headers = lines.map((line): [string, string] => {
    const [, name = '', value = ''] = /^([\w!#$%&'*+.^`|~-]+): ([\t -~\x80-\xff]*)$/.exec(line) ?? [];
    return [name.toLowerCase(), value];
  });
  if (method === '' || headers.some(([name]) => name === '')) throw new Error('The head is not exact.');
  const of = (wanted: string): string[] => headers.filter(([name]) => name === wanted).map(([, value]) => value);
  const [lengths, codings] = [of('content-length'), of('transfer-encoding')];
  if (of('host').length !== 1 || lengths.length + codings.length > 1) throw new Error('The request is ambiguous.');
  const content = bytes.subarray(end + 4);
  const request = { method, url, headers };
  if (codings.length > 0) {
    if (codings[0] !== 'chunked') throw new Error('The coding is not known.');
    const chunked = readChunks(content);
    return chunked ? { request: { ...request, body: chunked.body }, rest: chunked.rest } : none;
  }
  if (lengths.some((length) => !/^\d+$/.test(length))) throw new Error('The length is no number.');
  const length = Number(lengths[0] ?? 0);
  if (content.length < length) return none;
  return { request: { ...request, body: content.subarray(0, length) }, rest: content.subarray(length) };
}

function readChunks(content: Buffer): { body: Buffer; rest: Buffer } | null {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const line = content.indexOf('\r\n', at);
    if (line < 0) return null;
    const digits = content.toString('latin1', at, line);
    if (!/^[0-9a-f]+$/i.test(digits)) throw new Error('The size of a chunk is not exact.');
    const [start, size] = [line + 2, parseInt(digits, 16)];
    if (content.length < start + size + 2) return null;
    if (content.toString('latin1', start + size, start + size + 2) !== '\r\n') throw new Error('A chunk has no end.');
    if (size === 0) return { body: Buffer.concat(parts), rest: content.subarray(start + 2) };
    parts.push(content.subarray(start, start + size));
    at = start + size + 2;
  }
}

export interface TestGateway extends Gateway {
  /** As a guest: writes these bytes, as they are, ends once an answer comes, and gives all that came. */
  send(bytes: string | Buffer): Promise<string>;
  /** As a guest: a connection, which goes when the gateway ends it. */
  dial(): Socket;
}

/** Resolves when the connection is gone, in whatever way. */
export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

/** A gateway in a folder of its own, which goes with it. Loopback counts as public, every name leads there, and no upstream is set. */
export async function openTestGateway(options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-egress-'));
  const socketPath = join(folder, 'e.sock');
  const gateway = await openGateway({
    ...{ socketPath, upstreamUrl: null, directHosts: [], onUpstreamError: () => undefined },
    resolve: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    checkAddress: () => undefined,
    ...options,
  });
  const dial = (): Socket => {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    return socket.on('error', () => socket.destroy()).on('end', () => socket.destroy());
  };
  return {
    ...gateway,
    dial,
    async send(bytes) {
      const socket = dial();
      let answer = '';
      socket.on('data', (chunk) => void (answer += chunk.toString('latin1')));
      socket.write(bytes);
      // Whoever has an answer wants no more of this connection.
      socket.once('data', () => socket.end());
      await closed(socket);
      return answer;
    },
    async close() {
      await gateway.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
