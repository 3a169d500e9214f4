/** A connection to the privileged helper: requests answered in order, by lines that come in pieces of any size; events beside them. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { z } from 'zod';
import { inTime } from './deadline.js';
import { AppError } from './errors.js';
import { HelperEvent, HelperRefusal, maxHelperLine, type HelperRequest } from './privileged.js';

/** Milliseconds. */
const connectMs = 30_000;
/** Milliseconds; starting a VMM includes the wait for other VMs' starts on a busy host, and an emulated host takes a minute for a network. */
const answerMs = 120_000;

export interface HelperClient {
  /** @throws AppError what the helper refuses it with, or helper_unavailable */
  ask<T>(request: HelperRequest, schema: z.ZodType<T>): Promise<T>;
  /** A request that is not answered; resolves when it is written. Nothing happens once the connection has ended. */
  tell(request: HelperRequest): Promise<void>;
  /** Hears all events from now on. */
  listen(onEvent: (event: HelperEvent) => void): void;
  /** Resolves at the end of the connection; never rejects. */
  ended: Promise<void>;
  /** Ends it, and waits until the helper has done so, too. Idempotent. */
  close(): Promise<void>;
}

interface Connection {
  path: string;
  socket: Socket;
  waiting: { resolve: (answer: unknown) => void; reject: (error: AppError) => void }[];
  onEvent: (event: HelperEvent) => void;
  /** Why it has ended, where that is known. */
  fault?: Error;
}

/** @throws AppError helper_unavailable */
export async function connectHelper(path: string): Promise<HelperClient> {
  const socket = connect(path);
  const connection: Connection = { path, socket, waiting: [], onEvent: () => undefined };
  try {
    await inTime(once(socket, 'connect'), connectMs, () => new Error(`it takes no connection within ${connectMs} ms`));
  } catch (cause) {
    socket.destroy();
    throw unavailable(`No privileged helper answers at ${path}: ${(cause as Error).message}.`, cause);
  }
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const end = (): void => {
    for (const { reject } of connection.waiting.splice(0)) reject(endedError(connection));
  };
  ended.then(end, end);
  socket.on('error', (error) => void (connection.fault ??= error));
  readLines(connection);
  return {
    ask: (request, schema) => ask(connection, request, schema),
    tell: (request) =>
      new Promise((resolve) => {
        if (socket.destroyed) resolve();
        else socket.write(`${JSON.stringify(request)}\n`, () => resolve());
      }),
    listen: (onEvent) => void (connection.onEvent = onEvent),
    ended,
    async close() {
      socket.end();
      await ended;
    },
  };
}

function readLines(connection: Connection): void {
  let rest = '';
  connection.socket.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    try {
      if (rest.length > maxHelperLine) throw new Error('it sent a line without end');
      for (const line of lines) receive(connection, JSON.parse(line));
    } catch (error) {
      connection.socket.destroy(error as Error);
    }
  });
}

function receive(connection: Connection, message: unknown): void {
  const event = HelperEvent.safeParse(message);
  if (event.success) connection.onEvent(event.data);
  else connection.waiting.shift()?.resolve(message);
}

async function ask<T>(connection: Connection, request: HelperRequest, schema: z.ZodType<T>): Promise<T> {
  const { path, socket, waiting } = connection;
  if (socket.destroyed) throw endedError(connection);
  const answer = new Promise<unknown>((resolve, reject) => waiting.push({ resolve, reject }));
  socket.write(`${JSON.stringify(request)}\n`);
  const late = (): AppError => unavailable(`The privileged helper at ${path} did not answer within ${answerMs} ms.`);
  const said = await inTime(answer, answerMs, late);
  const refusal = HelperRefusal.safeParse(said);
  if (refusal.success) throw AppError.fromBody(refusal.data.error);
  const parsed = schema.safeParse(said);
  if (parsed.success) return parsed.data;
  throw unavailable(
    `The privileged helper at ${path} answers "${request.verb}" in words that this version does not know.`,
    parsed.error,
  );
}

const endedError = ({ path, fault }: Connection): AppError =>
  unavailable(`The privileged helper at ${path} has ended its connection${fault ? `: ${fault.message}` : ''}.`, fault);

const unavailable = (message: string, cause?: unknown): AppError =>
  new AppError('helper_unavailable', message, {
    hint: 'Its messages are in the journal: journalctl -t airlock-privileged-helper. docs/privileged-helper.md says how to install it; AIRLOCK_NETWORK=user needs none.',
    ...(cause !== undefined && { cause }),
  });
