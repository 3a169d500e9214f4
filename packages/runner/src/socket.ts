/** The runner's own HTTP interface, on the unix socket in the VM folder (see contract/runner.ts). Routes only; no state. */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { maxPayload } from '@airlock/contract/config-drive';
import { AppError } from '@airlock/contract/errors';
import {
  AssignRequest,
  StopRequest,
  VmSettings,
  type ConfigureAnswer,
  type RunnerStatus,
} from '@airlock/contract/runner';

export interface RunnerHandlers {
  status(): RunnerStatus;
  statusAfter(revision: number): Promise<RunnerStatus>;
  stop(graceMs: number): void;
  configure(next: VmSettings): Promise<ConfigureAnswer>;
  assign(request: AssignRequest): Promise<RunnerStatus>;
  guest(request: IncomingMessage, response: ServerResponse, path: string): Promise<void>;
  /** Must answer 101 by itself, through `accept`, once the desktop can be shown. */
  desktop(viewer: Duplex, accept: () => void): Promise<void>;
  onError(error: AppError, what: string): void;
}

export interface RunnerSocket {
  /** Stops listening, lets answers under way finish, removes the socket. */
  close(): Promise<void>;
}

/** Bytes of a body, and of one that carries settings with certificates. */
const maxBody = 64 * 1024;
const maxConfigureBody = 2 * maxPayload;
/** -1 is what a caller that has seen nothing yet may ask with. */
const Revision = z.coerce.number().int().min(-1);

/** Listens on `path`, replacing a socket that a dead runner left. */
export async function openRunnerSocket(path: string, handlers: RunnerHandlers): Promise<RunnerSocket> {
  await rm(path, { force: true });
  const server = createServer((request, response) => {
    route(request, response, handlers).catch((error: unknown) => fail(request, response, error, handlers));
  });
  // Only the caller ends a connection that rests: one that both end at once loses the call that was just sent.
  server.keepAliveTimeout = 0;
  server.on('upgrade', (request: IncomingMessage, viewer: Duplex, head: Buffer) => {
    viewer.unshift(head);
    upgrade(request, viewer, handlers).catch(() => viewer.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    async close() {
      server.close();
      server.closeIdleConnections();
      const limit = setTimeout(() => server.closeAllConnections(), 1000);
      await once(server, 'close');
      clearTimeout(limit);
    },
  };
}

async function route(request: IncomingMessage, response: ServerResponse, handlers: RunnerHandlers): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://runner');
  const call = `${request.method} ${url.pathname}`;
  if (url.pathname.startsWith('/guest/')) {
    await handlers.guest(request, response, (request.url ?? '').slice('/guest'.length));
  } else if (call === 'GET /status') {
    const after = url.searchParams.get('after');
    sendJson(response, 200, after === null ? handlers.status() : await handlers.statusAfter(parse(Revision, after)));
  } else if (call === 'POST /stop') {
    const { graceMs } = parse(StopRequest, parseJson(await readBody(request, maxBody)));
    sendJson(response, 202, handlers.status());
    handlers.stop(graceMs);
  } else if (call === 'POST /configure') {
    const next = parse(VmSettings, parseJson(await readBody(request, maxConfigureBody)));
    sendJson(response, 200, await handlers.configure(next));
  } else if (call === 'POST /assign') {
    const wanted = parse(AssignRequest, parseJson(await readBody(request, maxConfigureBody)));
    sendJson(response, 200, await handlers.assign(wanted));
  } else {
    throw new AppError('not_found', `The runner has no ${call}.`);
  }
}

async function upgrade(request: IncomingMessage, viewer: Duplex, handlers: RunnerHandlers): Promise<void> {
  let accepted = false;
  viewer.on('error', () => viewer.destroy());
  try {
    if (request.url !== '/desktop' || request.headers.upgrade?.toLowerCase() !== 'rfb') {
      throw new AppError('not_found', 'The runner upgrades only GET /desktop, to rfb.');
    }
    await handlers.desktop(viewer, () => {
      accepted = true;
      viewer.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: rfb\r\n\r\n');
    });
  } catch (error) {
    const problem = AppError.from(error);
    handlers.onError(problem, 'desktop');
    if (accepted) viewer.destroy();
    else {
      const body = JSON.stringify({ error: problem.toBody() });
      const head = `HTTP/1.1 ${problem.status} ${problem.code}\r\nconnection: close\r\ncontent-type: application/json`;
      viewer.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    }
  }
}

function fail(request: IncomingMessage, response: ServerResponse, error: unknown, handlers: RunnerHandlers): void {
  const problem = AppError.from(error);
  handlers.onError(problem, `${request.method} ${request.url?.split('?')[0]}`);
  if (response.headersSent) response.destroy();
  else sendJson(response, problem.status, { error: problem.toBody() });
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size > limit) throw new AppError('payload_too_large', `The body is larger than ${limit} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid_request', 'The body is not JSON.', { cause });
  }
}

function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError('invalid_request', parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; '));
}
