/**
 * The runner's connection to the privileged helper: requests answered in order, events of the VMM that runs behind it. All that the
 * helper made for this VM is given back when the connection ends.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { z } from 'zod';
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import {
  HelperEvent,
  HelperRefusal,
  JailAnswer,
  maxHelperLine,
  NetworkAnswer,
  type HelperRequest,
  type JailRequest,
} from '@airlock/contract/privileged';
import type { ProcessIdentity } from '@airlock/contract/runner';
import type { LaunchOutput, Launched, ProcessExit } from './device.js';

/** Milliseconds; starting includes the wait for other VMs' starts on a busy host. */
const answerMs = 30_000;

export interface Helper {
  /** Makes the network of this VM, whose VMM is to be that user, and answers the folder of its sockets. */
  network(vmId: string, vmUser?: number): Promise<string>;
  /** Starts the VMM in its jail. */
  start(request: JailRequest, output: LaunchOutput): Promise<Launched>;
  /** Has everything given back, and waits until it is. Idempotent. */
  close(): Promise<void>;
}

/** @throws AppError helper_unavailable */
export async function connectHelper(path: string): Promise<Helper> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (cause) {
    throw new AppError('helper_unavailable', `No privileged helper answers at ${path}: ${(cause as Error).message}`, {
      hint: 'docs/privileged-helper.md says how to install it; AIRLOCK_NETWORK=user needs none.',
      cause,
    });
  }
  return faceOf(createConnection(socket));
}

interface Connection {
  socket: Socket;
  closed: Promise<void>;
  waiting: { resolve: (answer: unknown) => void; reject: (error: AppError) => void }[];
  onEvent: (event: HelperEvent) => void;
}

function createConnection(socket: Socket): Connection {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const connection: Connection = { socket, closed, waiting: [], onEvent: () => undefined };
  let rest = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    try {
      if (rest.length > maxHelperLine) throw new AppError('helper_unavailable', 'The helper sent a line without end.');
      for (const line of lines) receive(connection, JSON.parse(line));
    } catch (error) {
      socket.destroy(AppError.inItsWords(error));
    }
  });
  socket.on('error', () => socket.destroy());
  const end = (): void => {
    for (const { reject } of connection.waiting.splice(0)) reject(ended());
  };
  closed.then(end, end);
  return connection;
}

const ended = (): AppError =>
  new AppError('helper_unavailable', 'The privileged helper has ended its connection.', {
    hint: 'Its messages are in the journal: journalctl -t airlock-privileged-helper.',
  });

function receive(connection: Connection, message: unknown): void {
  const event = HelperEvent.safeParse(message);
  if (event.success) connection.onEvent(event.data);
  else connection.waiting.shift()?.resolve(message);
}

async function ask<T>(connection: Connection, request: HelperRequest, schema: z.ZodType<T>): Promise<T> {
  const { socket, waiting } = connection;
  if (socket.destroyed) throw ended();
  const answer = new Promise<unknown>((resolve, reject) => waiting.push({ resolve, reject }));
  socket.write(`${JSON.stringify(request)}\n`);
  const late = (): AppError =>
    new AppError('helper_unavailable', `The privileged helper did not answer within ${answerMs} ms.`);
  const parsed = z.union([HelperRefusal, schema]).parse(await inTime(answer, answerMs, late));
  const refusal = HelperRefusal.safeParse(parsed);
  if (refusal.success) throw AppError.fromBody(refusal.data.error);
  return schema.parse(parsed);
}

function faceOf(connection: Connection): Helper {
  const { socket, closed } = connection;
  const close = async (): Promise<void> => {
    socket.end();
    await closed;
  };
  return {
    async network(vmId, vmUser) {
      const request = { verb: 'network', vmId, ...(vmUser !== undefined && { vmUser }) } as const;
      return (await ask(connection, request, NetworkAnswer)).folder;
    },
    start: (request, output) => start(connection, request, output),
    close,
  };
}

async function start(connection: Connection, request: JailRequest, output: LaunchOutput): Promise<Launched> {
  const { socket, closed } = connection;
  const monitor = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      socket.write(`${JSON.stringify({ verb: 'monitor', data: chunk.toString('base64') })}\n`, () => done());
    },
  });
  const exited = new Promise<ProcessExit>((resolve) => {
    connection.onEvent = (event) => {
      if (event.event === 'exit') {
        // Not destroyed: its last words, just before, are still to be read.
        monitor.push(null);
        monitor.end();
        resolve({ code: event.code, signal: event.signal });
        return;
      }
      const chunk = Buffer.from(event.data, 'base64');
      if (event.event === 'console') output.onSerial(chunk);
      else if (event.event === 'messages') output.onMessage(chunk);
      else if (event.event === 'metrics') output.onMetrics?.(chunk);
      else monitor.push(chunk);
    };
    const lost = (): void => {
      monitor.destroy();
      resolve({ code: null, signal: 'SIGKILL' });
    };
    closed.then(lost, lost);
  });
  const { identity }: { identity: ProcessIdentity } = await ask(connection, request, JailAnswer);
  const kill = async (): Promise<void> => {
    if (!socket.destroyed) socket.write(`${JSON.stringify({ verb: 'kill' })}\n`);
    await exited;
  };
  return { identity, monitor, exited, kill };
}
