/** JSON calls to an Airlock process, over TCP or a unix socket. Every answer is parsed; every failure is an AppError. */
import type { Readable } from 'node:stream';
import { Agent, request, type Dispatcher } from 'undici';
import type { z } from 'zod';
import { AppError, type ErrorCode } from './errors.js';
import { readEvents, type ServerEvent } from './event-stream.js';

export interface Target {
  /** `http://127.0.0.1:4000`; with a socket, only the Host header. */
  baseUrl: string;
  socketPath?: string;
  /** Sent as `Authorization: Bearer`. */
  token?: string;
  /** The code to report when nothing answers: who is being called. */
  unreachable: ErrorCode;
  /** Bytes of an answer that are taken at most; 64 MiB by default. */
  maxAnswer?: number;
  /** Words for that error: "the controller at …", "the runner of vm_…". */
  name: string;
}

export interface CallOptions {
  body?: unknown;
  /** Sent instead, as it comes, as application/octet-stream. Left where it is as soon as there is an answer. */
  upload?: Readable;
  signal?: AbortSignal;
  /** Milliseconds until the answer's head must have come; 30 s by default. */
  timeoutMs?: number;
}

/** What a call resolves to: the parsed answer, or nothing where `null` says that no body is expected. */
export type Answer<T extends z.ZodType | null> = T extends z.ZodType ? z.infer<T> : undefined;

export interface JsonClient {
  /** Calls and parses the answer with `schema`; `null` as schema: no body is expected. */
  call<T extends z.ZodType | null>(method: string, path: string, schema: T, options?: CallOptions): Promise<Answer<T>>;
  /**
   * Calls, and once the answer has begun gives its lines as they come, without the empty ones. Leaving the loop hangs up.
   * `timeoutMs` is also the longest silence. The loop throws an AppError when the stream breaks off.
   */
  lines(method: string, path: string, options?: CallOptions): Promise<AsyncGenerator<string, void>>;
  close(): Promise<void>;
}

/** A client that also reads server-sent events and files, as the controller's API has them. */
export interface StreamingClient extends JsonClient {
  /**
   * Calls, and once the answer has begun gives its bytes as they come. Leaving the loop hangs up. `timeoutMs` is also the longest
   * silence. The loop throws an AppError unless all has come.
   */
  bytes(method: string, path: string, options?: CallOptions): Promise<AsyncGenerator<Buffer, void>>;
  /** As `lines`, for server-sent events. */
  events(method: string, path: string, options?: CallOptions): Promise<AsyncGenerator<ServerEvent, void>>;
}

/** The same client with `prefix` before every path. */
export function withPrefix(client: JsonClient, prefix: string): JsonClient {
  return {
    call: (method, path, schema, options) => client.call(method, `${prefix}${path}`, schema, options),
    lines: (method, path, options) => client.lines(method, `${prefix}${path}`, options),
    close: () => client.close(),
  };
}

/** Characters of one line of a streamed answer. */
const maxLine = 1024 * 1024;
/** Bytes of an answer that is taken whole: more than any, the largest being a backup. Who answers may be a VM that was taken over. */
const maxAnswer = 64 * 1024 * 1024;

/** A client for one process. Close it when done: it keeps connections open. */
export function createJsonClient(target: Target): StreamingClient {
  const agent = new Agent(target.socketPath === undefined ? {} : { connect: { socketPath: target.socketPath } });
  const peer = { target, agent };
  return {
    async call(method, path, schema, options = {}) {
      const what = `${method} ${path}`;
      const text = await wholeOf(await send(peer, method, path, options), target, what);
      return (schema === null ? undefined : parseAnswer(text, schema, target, what)) as Answer<typeof schema>;
    },
    async lines(method, path, options = {}) {
      return linesOf(await send(peer, method, path, options), target, `${method} ${path}`);
    },
    async bytes(method, path, options = {}) {
      return bytesOf(await send(peer, method, path, options), target, `${method} ${path}`);
    },
    async events(method, path, options = {}) {
      return eventsOf(await send(peer, method, path, options), target, `${method} ${path}`);
    },
    close: () => agent.close(),
  };
}

interface Peer {
  target: Target;
  agent: Agent;
}

/** The body, once the head of the answer has come. */
async function send({ target, agent }: Peer, method: string, path: string, options: CallOptions): Promise<Readable> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const what = `${method} ${path}`;
  const answer = await request(new URL(path, target.baseUrl), {
    method: method as Dispatcher.HttpMethod,
    dispatcher: agent,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    headers: {
      ...(target.token !== undefined && { authorization: `Bearer ${target.token}` }),
      ...typeOf(options),
    },
    ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    ...(options.upload && { body: options.upload }),
    ...(options.signal && { signal: options.signal }),
  }).catch((error: unknown) => {
    throw toAppError(error, target, what);
  });
  if (answer.statusCode < 400) return answer.body;
  throw fromErrorAnswer(await wholeOf(answer.body, target, what), answer.statusCode, target, what);
}

function typeOf({ body, upload }: CallOptions): Record<string, string> {
  if (upload) return { 'content-type': 'application/octet-stream' };
  return body === undefined ? {} : { 'content-type': 'application/json' };
}

/** The whole body. */
async function wholeOf(body: Readable, target: Target, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > (target.maxAnswer ?? maxAnswer)) throw new Error('an answer without end');
      chunks.push(chunk);
    }
  } catch (error) {
    // Cancelled with a reason of its own.
    throw error instanceof AppError ? error : toAppError(error, target, what);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function* bytesOf(body: Readable, target: Target, what: string): AsyncGenerator<Buffer, void> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    throw toAppError(error, target, what);
  }
}

async function* linesOf(body: Readable, target: Target, what: string): AsyncGenerator<string, void> {
  let rest = '';
  try {
    for await (const chunk of body.setEncoding('utf8')) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > maxLine) throw new Error('a line without end');
      yield* lines.filter((line) => line !== '');
    }
  } catch (error) {
    throw toAppError(error, target, what);
  }
  if (rest !== '') yield rest;
}

async function* eventsOf(body: Readable, target: Target, what: string): AsyncGenerator<ServerEvent, void> {
  try {
    yield* readEvents(body.setEncoding('utf8') as AsyncIterable<string>);
  } catch (error) {
    throw toAppError(error, target, what);
  }
}

function parseAnswer<T extends z.ZodType>(text: string, schema: T, target: Target, what: string): z.infer<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new AppError('internal', `${what}: ${target.name} answered something that is not JSON.`, { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new AppError('internal', `${what}: the answer of ${target.name} has an unexpected form (${where}).`, {
    hint: 'The two sides may be of different versions: restart both.',
  });
}

function fromErrorAnswer(text: string, status: number, target: Target, what: string): AppError {
  try {
    return AppError.fromAnswer(text);
  } catch (error) {
    return new AppError('internal', `${what}: ${target.name} answered ${status} without an error body.`, {
      cause: error,
    });
  }
}

function toAppError(error: unknown, target: Target, what: string): AppError {
  if (error instanceof Error && error.name === 'AbortError')
    return new AppError('aborted', `${what} was cancelled.`, { cause: error });
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const reason = error instanceof Error ? error.message : String(error);
  return new AppError(target.unreachable, `${what}: ${target.name} could not be reached (${code || reason}).`, {
    cause: error,
  });
}
