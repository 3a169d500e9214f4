/** JSON calls to an Airlock process, over TCP or a unix socket. Every answer is parsed; every failure is an AppError. */
import type { Readable } from 'node:stream';
import { Agent, request, type Dispatcher } from 'undici';
import type { z } from 'zod';
import { deadlineHeader, startLimit, type Limit } from './deadline.js';
import { AppError, type ErrorCode } from './errors.js';
import { readEvents, type ServerEvent } from './event-stream.js';
import { largeAnswers, parseReceived } from './received.js';

export interface Target {
  /** `http://127.0.0.1:4000`; with a socket, only the Host header. */
  baseUrl: string;
  socketPath?: string;
  /** Sent as `Authorization: Bearer`. */
  token?: string;
  /** The code to report when nothing answers: who is being called. */
  unreachable: ErrorCode;
  /** The code to report when who was reached does not answer `path` whole and in time; `unreachable` by default. */
  unanswered?: (path: string) => ErrorCode;
  /** Bytes of an answer that are taken at most, unless its schema is one of `largeAnswers`; 64 MiB by default. */
  maxAnswer?: number;
  /** Characters of one line of a streamed answer; 1 Mi by default. */
  maxLine?: number;
  /** Words for that error: "the controller at …", "the runner of vm_…". */
  name: string;
}

export interface CallOptions {
  body?: unknown;
  /** Sent instead, as it comes, as application/octet-stream. Left where it is as soon as there is an answer. */
  upload?: Readable;
  signal?: AbortSignal;
  /**
   * Milliseconds until the answer must have come whole, however it comes; 30 s by default. With an `upload`, and of a stream: the
   * longest silence.
   */
  timeoutMs?: number;
}

export interface StreamOptions extends CallOptions {
  /** Milliseconds until the stream must have come to its end; without, it may go on for ever. To be given where a guest answers. */
  totalMs?: number;
  /** Of `lines`: bytes of all of them that are taken at most; without, they may go on for ever. To be given where a guest answers. */
  maxLines?: number;
}

/** What a call resolves to: the parsed answer, or nothing where `null` says that no body is expected. */
export type Answer<T extends z.ZodType | null> = T extends z.ZodType ? z.infer<T> : undefined;

export interface JsonClient {
  /** Calls and parses the answer with `schema`; `null` as schema: no body is expected. */
  call<T extends z.ZodType | null>(method: string, path: string, schema: T, options?: CallOptions): Promise<Answer<T>>;
  /**
   * Calls, and once the answer has begun gives its lines as they come, without the empty ones. Leaving the loop hangs up.
   * The loop throws an AppError when the stream breaks off, is silent for too long, or goes on for too long.
   */
  lines(method: string, path: string, options?: StreamOptions): Promise<AsyncGenerator<string, void>>;
  /** Ends what is under way: nobody is waited for. */
  close(): Promise<void>;
}

/** A client that also reads server-sent events and files, as the controller's API has them. */
export interface StreamingClient extends JsonClient {
  /**
   * Calls, and once the answer has begun gives its bytes as they come. Leaving the loop hangs up. The loop throws an AppError unless
   * all has come.
   */
  bytes(method: string, path: string, options?: StreamOptions): Promise<AsyncGenerator<Buffer, void>>;
  /** As `lines`, for server-sent events. */
  events(method: string, path: string, options?: StreamOptions): Promise<AsyncGenerator<ServerEvent, void>>;
}

/** The same client with `prefix` before every path. */
export function withPrefix(client: JsonClient, prefix: string): JsonClient {
  return {
    call: (method, path, schema, options) => client.call(method, `${prefix}${path}`, schema, options),
    lines: (method, path, options) => client.lines(method, `${prefix}${path}`, options),
    close: () => client.close(),
  };
}

/** The same client, each call of which ends with `signal` at the latest. */
export function withSignal(client: JsonClient, signal: AbortSignal): JsonClient {
  return {
    call: (method, path, schema, options) => client.call(method, path, schema, { ...options, signal }),
    lines: (method, path, options) => client.lines(method, path, { ...options, signal }),
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
  const begin = (
    method: string,
    path: string,
    options: CallOptions,
    times: Pick<Call, 'totalMs' | 'silenceMs'>,
  ): Call => {
    const call = { ...times, target, agent, method, path, options };
    const late = (): AppError => unanswered(call, `did not answer whole within ${times.totalMs} ms`);
    return { ...call, limit: startLimit(times.totalMs, late, options.signal) };
  };
  /** One of the methods whose answers are taken as they come. */
  const streaming =
    <T>(read: (body: Readable, call: Call) => AsyncGenerator<T, void>) =>
    async (method: string, path: string, options: StreamOptions = {}): Promise<AsyncGenerator<T, void>> => {
      const call = begin(method, path, options, { silenceMs: timeoutOf(options), totalMs: options.totalMs ?? null });
      const body = await send(call).catch((error: unknown) => {
        call.limit.end();
        throw error;
      });
      return untilEnded(read(body, call), call.limit);
    };
  return {
    async call(method, path, schema, options = {}) {
      const timeoutMs = timeoutOf(options);
      const times = options.upload ? { silenceMs: timeoutMs, totalMs: null } : { silenceMs: 0, totalMs: timeoutMs };
      const call = begin(method, path, options, times);
      try {
        const maxBytes = (schema && largeAnswers.get(schema)?.bytes) ?? maxAnswerOf(target);
        const text = await wholeOf(await send(call), call, maxBytes);
        return (schema === null ? undefined : parseAnswer(text, schema, call)) as Answer<typeof schema>;
      } finally {
        call.limit.end();
      }
    },
    lines: streaming(linesOf),
    bytes: streaming(bytesOf),
    events: streaming(eventsOf),
    close: () => agent.destroy(),
  };
}

/** A call under way. */
interface Call {
  target: Target;
  agent: Agent;
  method: string;
  path: string;
  options: CallOptions;
  /** Milliseconds of silence that are waited; 0: only all of it has an end. */
  silenceMs: number;
  /** Milliseconds for all of it; null: without end. */
  totalMs: number | null;
  limit: Limit;
}

const maxAnswerOf = (target: Target): number => target.maxAnswer ?? maxAnswer;
const timeoutOf = ({ timeoutMs = 30_000 }: CallOptions): number => timeoutMs;
const named = ({ method, path, target }: Pick<Call, 'method' | 'path' | 'target'>): string =>
  `${method} ${path}: ${target.name}`;

/** The body, once the head of the answer has come. */
async function send(call: Call): Promise<Readable> {
  const { target, agent, method, path, options, silenceMs, totalMs, limit } = call;
  const answer = await request(new URL(path, target.baseUrl), {
    method: method as Dispatcher.HttpMethod,
    dispatcher: agent,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    headers: {
      ...(target.token !== undefined && { authorization: `Bearer ${target.token}` }),
      ...(target.socketPath !== undefined && totalMs !== null && { [deadlineHeader]: String(totalMs) }),
      ...typeOf(options),
    },
    ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    ...(options.upload && { body: options.upload }),
    signal: limit.signal,
  }).catch((error: unknown) => {
    throw toAppError(error, call, false);
  });
  if (answer.statusCode < 400) return answer.body;
  throw fromErrorAnswer(await wholeOf(answer.body, call, maxAnswerOf(target)), answer.statusCode, call);
}

async function* untilEnded<T>(pieces: AsyncGenerator<T, void>, limit: Limit): AsyncGenerator<T, void> {
  try {
    yield* pieces;
  } finally {
    limit.end();
  }
}

function typeOf({ body, upload }: CallOptions): Record<string, string> {
  if (upload) return { 'content-type': 'application/octet-stream' };
  return body === undefined ? {} : { 'content-type': 'application/json' };
}

/** The whole body. */
async function wholeOf(body: Readable, call: Call, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new Error(`an answer without end, or of more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw toAppError(error, call, true);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function* bytesOf(body: Readable, call: Call): AsyncGenerator<Buffer, void> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    throw toAppError(error, call, true);
  }
}

async function* linesOf(body: Readable, call: Call): AsyncGenerator<string, void> {
  const { maxLines = Infinity }: StreamOptions = call.options;
  const { maxLine: longest = maxLine } = call.target;
  const decoder = new TextDecoder();
  let size = 0;
  /** Pieces of the line that has not ended yet: putting them together each time would take longer with each. */
  let pieces: string[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxLines) throw new Error(`an answer without end, or of more than ${maxLines} bytes`);
      const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
      pieces.push(first);
      length += first.length;
      if (length > longest) throw new Error('a line without end');
      if (others.length === 0) continue;
      const rest = others.pop() ?? '';
      yield* [pieces.join(''), ...others].filter((line) => line !== '');
      pieces = [rest];
      length = rest.length;
    }
  } catch (error) {
    throw toAppError(error, call, true);
  }
  const last = pieces.join('');
  if (last !== '') yield last;
}

async function* eventsOf(body: Readable, call: Call): AsyncGenerator<ServerEvent, void> {
  try {
    yield* readEvents(body.setEncoding('utf8') as AsyncIterable<string>);
  } catch (error) {
    throw toAppError(error, call, true);
  }
}

function parseAnswer<T extends z.ZodType>(text: string, schema: T, call: Call): z.infer<T> {
  let json: unknown;
  try {
    json = parseReceived(text);
  } catch (error) {
    throw new AppError('internal', `${named(call)} answered something that is not JSON.`, { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 5);
  const where = issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new AppError('internal', `${named(call)} answered in an unexpected form (${where}).`, {
    hint: 'The two sides may be of different versions: restart both.',
  });
}

function fromErrorAnswer(text: string, status: number, call: Call): AppError {
  try {
    return AppError.fromAnswer(text);
  } catch (error) {
    return new AppError('internal', `${named(call)} answered ${status} without an error body.`, {
      cause: error,
    });
  }
}

const silences = ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'];

/** `begun`: there has been a part of the answer. */
function toAppError(error: unknown, call: Call, begun: boolean): AppError {
  // Late, or cancelled with a reason of its own.
  if (error instanceof AppError) return error;
  const code = String((error as NodeJS.ErrnoException).code ?? '');
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  if (name === 'AbortError')
    return new AppError('aborted', `${call.method} ${call.path} was cancelled.`, { cause: error });
  if (name === 'TimeoutError') return unanswered(call, `did not answer in time (${message})`, error);
  if (silences.includes(code)) return unanswered(call, `was silent for ${call.silenceMs} ms`, error);
  if (begun) return unanswered(call, `broke off its answer (${message})`, error);
  return new AppError(call.target.unreachable, `${named(call)} could not be reached (${code || message}).`, {
    cause: error,
  });
}

function unanswered(call: Pick<Call, 'method' | 'path' | 'target'>, how: string, cause?: unknown): AppError {
  const { unreachable, unanswered: code } = call.target;
  return new AppError(code?.(call.path) ?? unreachable, `${named(call)} ${how}.`, { cause });
}
