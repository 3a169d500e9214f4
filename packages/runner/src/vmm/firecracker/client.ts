/** Calls of Firecracker's API on one connection, one after the other, each with a deadline. */
import { Agent, request, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { raceAbort, startLimit } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { Fault, requestOf, Version, type Call, type CallName } from './api.js';

export interface Api {
  /** @throws AppError vmm_failed with Firecracker's words when it refuses, or does not answer in time; the reason of `signal` */
  call(call: Call, signal: AbortSignal): Promise<void>;
  /** @throws AppError as `call` */
  version(signal: AbortSignal): Promise<string>;
}

/** Milliseconds. Memory is written whole, or read: 2 GiB took 28 s where KVM itself was emulated. */
const usualMs = 10_000;
const limits: Partial<Record<CallName, number>> = {
  'PUT /actions': 30_000,
  'PUT /snapshot/create': 180_000,
  'PUT /snapshot/load': 60_000,
};
/** Bytes of an answer. */
const maxAnswer = 64 * 1024;

/** The API at the other end of `stream`. A call that is given up takes the connection with it: nobody knows what became of it. */
export function connectApi(stream: Duplex): Api {
  const agent = new OneConnection(stream);
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(name: CallName, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const mine = last.then(() => within(name, work, signal));
    // The next call is none the worse for it.
    last = mine.catch(() => undefined);
    return mine;
  }

  return {
    call: (call, signal) => inTurn(call.name, async (over) => void (await exchange(agent, call, over)), signal),
    version: (signal) => inTurn('GET /version', (over) => askVersion(agent, over), signal),
  };
}

async function within<T>(name: CallName, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  const ms = limits[name] ?? usualMs;
  const late = (): AppError => new AppError('vmm_failed', `Firecracker did not answer ${name} within ${ms} ms.`);
  const limit = startLimit(ms, late, signal);
  try {
    return await raceAbort(work(limit.signal), limit.signal);
  } finally {
    limit.end();
  }
}

async function askVersion(agent: Agent, signal: AbortSignal): Promise<string> {
  const answer = await exchange(agent, { name: 'GET /version', body: null }, signal);
  const parsed = Version.safeParse(jsonOf(answer));
  if (parsed.success) return parsed.data.firecracker_version;
  throw new AppError('vmm_failed', `Firecracker does not tell its version, but: ${answer.slice(0, 200)}`);
}

/** The stream is no socket of the kernel's: what an agent would set on one has no meaning. */
class OneConnection extends Agent {
  private readonly stream: Duplex;

  constructor(stream: Duplex) {
    super({ keepAlive: true, maxSockets: 1 });
    // Called where a connection is used again.
    this.stream = Object.assign(stream, { ref: () => undefined });
  }

  override createConnection(_options: unknown, done?: (error: Error | null, stream: Duplex) => void): null {
    done?.(this.stream.destroyed ? new Error('its connection is closed') : null, this.stream);
    return null;
  }

  override keepSocketAlive(): boolean {
    return true;
  }
}

/** The body of the answer. */
async function exchange(agent: Agent, call: Call, signal: AbortSignal): Promise<string> {
  const { status, body } = await send(agent, call, signal).catch((cause: unknown) => {
    const { message } = cause as Error;
    throw new AppError('vmm_failed', `Firecracker did not answer ${call.name}: ${message}`, { cause });
  });
  if (status < 300) return body;
  const fault = Fault.safeParse(jsonOf(body));
  const words = fault.success ? fault.data.fault_message : `status ${status}`;
  throw new AppError('vmm_failed', `Firecracker refused ${call.name}: ${words}`);
}

async function send(agent: Agent, call: Call, signal: AbortSignal): Promise<{ status: number; body: string }> {
  const { method, path, content } = requestOf(call);
  const headers =
    content === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ method, path, headers, signal, agent }, resolve);
    sent.once('error', reject);
    sent.end(content ?? undefined);
  });
  let length = 0;
  answer.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > maxAnswer) answer.destroy(new Error(`its answer is longer than ${maxAnswer} bytes`));
  });
  return { status: answer.statusCode ?? 500, body: await text(answer) };
}

function jsonOf(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}
