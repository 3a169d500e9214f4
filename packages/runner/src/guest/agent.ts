/** Calls to the agent inside the VM, authenticated here: its health for the runner, everything else passed through. */
import { once } from 'node:events';
import { Agent, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@airlock/contract/errors';
import { GuestHealth } from '@airlock/contract/guest';

export interface GuestAgent {
  /**
   * One look at /health.
   * @throws AppError guest_unreachable, with the socket's error as cause; guest_refused for any status but 200.
   */
  health(signal: AbortSignal): Promise<GuestHealth>;
  /** Asks the guest to shut down. @throws AppError guest_unreachable, guest_refused */
  powerOff(signal: AbortSignal): Promise<void>;
  /** Passes a request on to `path` and streams the answer back. @throws AppError guest_unreachable before any answer */
  forward(incoming: IncomingMessage, response: ServerResponse, path: string): Promise<void>;
  close(): void;
}

/** Silence for so long ends a forwarded call: the longest check takes over a minute under emulation. */
const silenceMs = 300_000;
/** Of the caller's headers only these concern the agent. */
const passedOn = ['content-type', 'content-length', 'accept', 'accept-encoding'] as const;

/** A client for the agent behind `port` of 127.0.0.1. */
export function createGuestAgent(port: number, token: string): GuestAgent {
  const pool = new Agent({ keepAlive: true, maxSockets: 16 });

  function start(method: string, path: string, signal: AbortSignal, headers: Record<string, string> = {}) {
    const options = { host: '127.0.0.1', port, agent: pool, timeout: silenceMs, signal, method, path };
    const call = request({ ...options, headers: { ...headers, authorization: `Bearer ${token}` } });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    return call;
  }

  async function ask(method: string, path: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
    try {
      const call = start(method, path, signal);
      call.end();
      const [answer] = (await once(call, 'response')) as [IncomingMessage];
      let body = '';
      for await (const chunk of answer.setEncoding('utf8')) body += String(chunk);
      return { status: answer.statusCode ?? 0, body };
    } catch (cause) {
      throw unreachable(method, path, cause);
    }
  }

  return {
    async health(signal) {
      const { status, body } = await ask('GET', '/health', signal);
      const parsed = status === 200 ? GuestHealth.safeParse(parseJson(body)) : undefined;
      if (parsed?.success) return parsed.data;
      throw new AppError('guest_refused', `The agent answered GET /health with ${status} and an unexpected body.`);
    },
    async powerOff(signal) {
      const { status } = await ask('POST', '/power-off', signal);
      if (status !== 204) throw new AppError('guest_refused', `The agent answered POST /power-off with ${status}.`);
    },
    async forward(incoming, response, path) {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const headers: Record<string, string> = {};
      for (const name of passedOn) {
        const value = incoming.headers[name];
        if (value !== undefined) headers[name] = value;
      }
      const method = incoming.method ?? 'GET';
      const call = start(method, path, gone.signal, headers);
      try {
        // The agent may answer, and close, before it has read the whole body: its answer counts.
        const answered = once(call, 'response');
        pipeline(incoming, call).catch((error: unknown) => call.destroy(error instanceof Error ? error : undefined));
        const [answer] = (await answered) as [IncomingMessage];
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        await pipeline(answer, response);
      } catch (cause) {
        throw unreachable(method, path, cause);
      }
    },
    close: () => pool.destroy(),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the schema refuses it, and the error says so.
    return undefined;
  }
}

function unreachable(method: string, path: string, cause: unknown): AppError {
  const reason = (cause as NodeJS.ErrnoException).code ?? (cause instanceof Error ? cause.message : String(cause));
  return new AppError('guest_unreachable', `The agent in the VM did not answer ${method} ${path} (${reason}).`, {
    hint: 'serial.log in the VM folder shows what the guest is doing.',
    cause,
  });
}
