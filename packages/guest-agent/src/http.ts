/** The HTTP side: who may call, which route, the body as JSON, the answer. Knows nothing of what the routes do. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '@airlock/contract/errors';
import { answerBytes, parseReceived } from '@airlock/contract/received';
import type { Log } from './log.js';

/** Bytes of a request body: the largest holds a credential. */
const bodyLimit = answerBytes.bundle;

export interface Answer {
  status: number;
  /** Absent: an answer without body. */
  json?: unknown;
  /** Instead of `json`, lines as they come: `write` resolves when there is room for more, `caller` fires when the caller hangs up. */
  lines?: (write: (value: unknown) => Promise<void>, caller: AbortSignal) => Promise<void>;
  /** Runs after the answer has been sent. */
  afterwards?: () => void;
}

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Matches the whole path; a first group is handed to the handler. */
  path: RegExp;
  /** Routes with a body get its JSON; the others refuse one. */
  body: boolean;
  handle(parameter: string, body: unknown): Answer | Promise<Answer>;
}

export interface Gate {
  /** null: no configuration yet, nobody can be authenticated. */
  token(): string | null;
  /** What GET /health answers to anybody while there is no token. */
  anonymousHealth(): unknown;
}

export interface Api {
  routes: readonly Route[];
  gate: Gate;
  log: Log;
}

/** Compares digests, so that the time taken tells nothing about the token or its length. */
function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function isAuthenticated(request: IncomingMessage, token: string | null): boolean {
  const given = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return token !== null && given !== undefined && sameSecret(given, token);
}

async function readText(request: IncomingMessage): Promise<string> {
  const tooLarge = (): AppError =>
    new AppError('payload_too_large', `The request body is larger than ${bodyLimit} bytes.`);
  if (Number(request.headers['content-length'] ?? 0) > bodyLimit) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early must not close the connection, or the answer could not be sent.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function readBody(request: IncomingMessage, route: Route): Promise<unknown> {
  const text = await readText(request);
  if (!route.body) {
    if (text === '') return undefined;
    throw new AppError('invalid_request', `${route.method} ${request.url} takes no body, but one came.`);
  }
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json(?:\s*;\s*charset=utf-8)?$/i.test(type)) {
    throw new AppError('unsupported_media_type', `The body has the type "${type}"; expected application/json.`);
  }
  try {
    return parseReceived(text);
  } catch (error) {
    throw new AppError('invalid_request', 'The request body is not JSON.', { cause: error });
  }
}

async function answerOf(request: IncomingMessage, routes: readonly Route[], gate: Gate): Promise<Answer> {
  const token = gate.token();
  const { method = '', url = '' } = request;
  if (token === null && method === 'GET' && url === '/health') return { status: 200, json: gate.anonymousHealth() };
  if (!isAuthenticated(request, token)) {
    throw new AppError('unauthenticated', 'The call carries no valid agent token.', {
      hint:
        token === null ? 'This VM has no valid configuration: see GET /health.' : 'Call through the runner of this VM.',
    });
  }
  for (const route of routes) {
    const match = route.method === method ? route.path.exec(url) : null;
    if (match) return route.handle(match[1] ?? '', await readBody(request, route));
  }
  throw new AppError('not_found', `The agent has no ${method} ${url.slice(0, 200)}.`);
}

/** Milliseconds between signs of life in an answer of lines: less than anybody between agent and person waits. */
const heartbeatMs = 10_000;

async function sendLines(response: ServerResponse, lines: NonNullable<Answer['lines']>): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.socket?.setNoDelay(true);
  response.writeHead(200, { 'cache-control': 'no-store', 'content-type': 'application/x-ndjson' }).flushHeaders();
  const heartbeat = setInterval(() => !response.writableNeedDrain && response.write('\n'), heartbeatMs);
  async function write(value: unknown): Promise<void> {
    if (gone.signal.aborted || response.write(`${JSON.stringify(value)}\n`)) return;
    await once(response, 'drain', { signal: gone.signal }).catch((error: unknown) => {
      if (!gone.signal.aborted) throw error;
    });
  }
  try {
    await lines(write, gone.signal);
    response.end();
  } finally {
    clearInterval(heartbeat);
  }
}

function send(response: ServerResponse, answer: Answer): void {
  if (answer.afterwards) response.once('finish', answer.afterwards);
  const text = answer.json === undefined ? '' : JSON.stringify(answer.json);
  response.writeHead(answer.status, {
    'cache-control': 'no-store',
    ...(text !== '' && { 'content-type': 'application/json' }),
    ...(answer.status !== 204 && { 'content-length': Buffer.byteLength(text) }),
  });
  response.end(text);
}

/** Answers one request; never throws. */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { routes, gate, log }: Api,
): Promise<void> {
  try {
    const found = await answerOf(request, routes, gate);
    if (found.lines) await sendLines(response, found.lines);
    else send(response, found);
  } catch (error) {
    // The caller has hung up: nobody is there to answer.
    if (response.socket === null || response.socket.destroyed) return;
    const known = AppError.from(error);
    if (known.code === 'internal') log(`${request.method} ${request.url} failed: ${known.stack}`);
    // Half an answer cannot become an error; the caller sees it break off.
    if (response.headersSent) return void response.destroy();
    // A body that was not read to its end would be taken for the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    send(response, { status: known.status, json: { error: known.toBody() } });
  }
}
