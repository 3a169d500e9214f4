/** Calls to the agent inside the VM, authenticated here: its health for the runner, everything else passed through. */
import { once } from 'node:events';
import {
  Agent,
  request,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { pipeline } from 'node:stream/promises';
import { deadlineHeader, startLimit } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { GuestClock, GuestHealth } from '@airlock/contract/guest';
import { answerBytes, parseReceived } from '@airlock/contract/received';
import type { Address } from '../lib/device.js';

export interface GuestAgent {
  /**
   * One look at /health.
   * @throws AppError guest_unreachable, with the socket's error as cause; guest_refused for any status but 200.
   */
  health(signal: AbortSignal): Promise<GuestHealth>;
  /** Has the agent read its config drive again, and apply what is newer. @throws AppError guest_unreachable, guest_refused */
  reload(signal: AbortSignal): Promise<GuestHealth>;
  /**
   * What the guest's clock says, Unix epoch milliseconds.
   * @throws AppError guest_unreachable; guest_refused, with the status in its details
   */
  clock(signal: AbortSignal): Promise<number>;
  /** Moves the guest's clock on, or back. @throws AppError guest_unreachable, guest_refused */
  moveClock(byMs: number, signal: AbortSignal): Promise<void>;
  /** Asks the guest to shut down. @throws AppError guest_unreachable, guest_refused */
  powerOff(signal: AbortSignal): Promise<void>;
  /**
   * Passes a request on to `path` and streams the answer back, which must be whole within the time that the caller gives
   * (`deadlineHeader`), or five minutes.
   * @throws AppError guest_unreachable; the answer may have begun
   */
  forward(incoming: IncomingMessage, response: ServerResponse, path: string): Promise<void>;
  close(): void;
}

/** Milliseconds for a forwarded call whose caller gives no time; and the most that one may give: the longest prompt takes a day. */
const forwardMs = 300_000;
const longestMs = 25 * 3_600_000;
/** A connection that rests so long, in ms, is ended here: well before the agent ends it (5 s), and loses the call that was just sent. */
const restMs = 2000;
/** Of the caller's headers only these concern the agent, and of the agent's the caller. */
const passedOn = ['content-type', 'content-length', 'accept', 'accept-encoding'] as const;
const passedBack = ['content-type', 'content-length', 'cache-control'] as const;

/** A client for the agent that is reached at `reach()`. */
export function createGuestAgent(reach: () => Address, token: string): GuestAgent {
  const pool = new Agent({ keepAlive: true, maxSockets: 16, timeout: restMs });
  const channel: Channel = { reach, token, pool };
  return {
    health: (signal) => askHealth(channel, 'GET', '/health', signal),
    reload: (signal) => askHealth(channel, 'POST', '/config/reload', signal),
    async clock(signal) {
      const { status, body } = await ask(channel, { method: 'GET', path: '/clock', signal });
      const parsed = status === 200 ? GuestClock.safeParse(parseJson(body)) : undefined;
      if (parsed?.success) return parsed.data.epochMs;
      throw refused('GET', '/clock', status);
    },
    async moveClock(byMs, signal) {
      const { status } = await ask(channel, { method: 'POST', path: '/clock', signal, body: { byMs } });
      if (status !== 204) throw refused('POST', '/clock', status);
    },
    async powerOff(signal) {
      const { status } = await ask(channel, { method: 'POST', path: '/power-off', signal });
      if (status !== 204) throw refused('POST', '/power-off', status);
    },
    forward: (incoming, response, path) => forward(channel, incoming, response, path),
    close: () => pool.destroy(),
  };
}

interface Channel {
  reach: () => Address;
  token: string;
  pool: Agent;
}

interface Call {
  method: string;
  path: string;
  signal: AbortSignal;
  headers?: Record<string, string>;
}

function begin({ reach, token, pool }: Channel, { headers = {}, ...call }: Call): ClientRequest {
  const to = reach();
  const where = 'path' in to ? { socketPath: to.path } : to;
  // Who calls says by the signal how long it may take; the time of the pool is for connections that rest.
  const begun = request({
    ...{ ...where, agent: pool, timeout: 0, ...call },
    headers: { ...headers, authorization: `Bearer ${token}` },
  });
  // Node ends such a call without an error or an answer: whoever waits for one would wait for ever.
  begun.once('upgrade', (_answer, socket) => {
    socket.destroy();
    begun.emit('error', new Error('it answered 101, which nobody asked for'));
  });
  return begun;
}

const refused = (method: string, path: string, status: number): AppError =>
  new AppError('guest_refused', `The agent answered ${method} ${path} with ${status} and not as it should.`, {
    details: { status },
  });

async function ask(channel: Channel, { body, ...what }: Omit<Call, 'headers'> & { body?: object }): Promise<Answer> {
  try {
    const headers = body && { headers: { 'content-type': 'application/json' } };
    const call = begin(channel, { ...what, ...headers });
    call.end(body && JSON.stringify(body));
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, body: await wholeOf(answer) };
  } catch (cause) {
    const { method, path, signal } = what;
    throw unreachable(method, path, signal.aborted ? signal.reason : cause);
  }
}

/** @throws Error when it is more than any agent has to say: nothing of the rest is read */
async function wholeOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > answerBytes.plain) throw new Error(`an answer without end, or of more than ${answerBytes.plain} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

interface Answer {
  status: number;
  body: string;
}

async function askHealth(channel: Channel, method: string, path: string, signal: AbortSignal): Promise<GuestHealth> {
  const { status, body } = await ask(channel, { method, path, signal });
  const parsed = status === 200 ? GuestHealth.safeParse(parseJson(body)) : undefined;
  if (parsed?.success) return parsed.data;
  throw new AppError('guest_refused', `The agent answered ${method} ${path} with ${status} and an unexpected body.`);
}

async function forward(
  channel: Channel,
  incoming: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  const gone = new AbortController();
  const ms = timeOf(incoming);
  const { signal, end } = startLimit(ms, () => new Error(`no whole answer within ${ms} ms`), gone.signal);
  response.once('close', () => gone.abort());
  const headers = pick(incoming.headers, passedOn);
  const method = incoming.method ?? 'GET';
  try {
    const call = begin(channel, { method, path, signal, headers });
    // The agent may answer, and close, before it has read the whole body: its answer counts.
    const answered = once(call, 'response');
    pipeline(incoming, call).catch((error: unknown) => call.destroy(error instanceof Error ? error : undefined));
    const [answer] = (await answered) as [IncomingMessage];
    response.writeHead(answer.statusCode ?? 502, pick(answer.headers, passedBack));
    await pipeline(answer, response);
  } catch (cause) {
    throw unreachable(method, path, signal.aborted ? signal.reason : cause);
  } finally {
    end();
  }
}

/** Milliseconds that the caller gives the agent. */
function timeOf({ headers }: IncomingMessage): number {
  const given = Number(headers[deadlineHeader]);
  return Number.isInteger(given) && given > 0 ? Math.min(given, longestMs) : forwardMs;
}

function pick(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  const entries = names.map((name) => [name, headers[name]] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function parseJson(text: string): unknown {
  try {
    return parseReceived(text);
  } catch {
    // Not JSON: the schema refuses it, and the error says so.
    return undefined;
  }
}

function unreachable(method: string, path: string, cause: unknown): AppError {
  const { code } = cause as { code?: unknown };
  const reason = typeof code === 'string' ? code : cause instanceof Error ? cause.message : String(cause);
  return new AppError('guest_unreachable', `The agent in the VM did not answer ${method} ${path} (${reason}).`, {
    hint: 'serial.log in the VM folder shows what the guest is doing.',
    cause,
  });
}
