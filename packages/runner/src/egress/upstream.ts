/** The user's upstream proxy: tunnels through it, one trial at the start, and words for its failures. Never shows its credentials. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { attemptMs } from '@airlock/contract/connect-time';
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';

/** Milliseconds that an upstream, or a target, has to let a connection in. */
export const connectMs = 30_000;
/** For one address of several. */
export const patience = { autoSelectFamilyAttemptTimeout: attemptMs } as const;
const trialMs = 15_000;

/** `host:port` of an upstream URL, fit to be shown. */
function upstreamName(upstreamUrl: string): string {
  const { hostname, port } = new URL(upstreamUrl);
  return `${hostname}:${port === '' ? '80' : port}`;
}

/** Where an upstream listens, and the header that it lets us in for; none without a user name. */
export function upstreamAccess(upstreamUrl: string): { host: string; port: number; headers: string[] } {
  const { hostname, port, username, password } = new URL(upstreamUrl);
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 80 : Number(port),
    headers: username === '' ? [] : ['proxy-authorization', `Basic ${credentials}`],
  };
}

/** The upstream wants other credentials. */
export function upstreamAuthFailed(upstreamUrl: string): AppError {
  const name = upstreamName(upstreamUrl);
  return new AppError('upstream_auth_failed', `The upstream proxy ${name} refused the user name or password.`, {
    hint: 'Correct AIRLOCK_UPSTREAM_PROXY.',
  });
}

const reasons: Record<string, string> = {
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved',
  ECONNREFUSED: 'it refuses connections',
  ECONNRESET: 'it reset the connection',
  EPIPE: 'it closed the connection',
  ETIMEDOUT: 'it does not answer',
  TimeoutError: 'it does not answer',
};

/** The upstream failed with an error of its connection. */
export function upstreamUnreachable(upstreamUrl: string, error: unknown): AppError {
  const { code, name } = error as NodeJS.ErrnoException;
  const reason = reasons[code ?? name] ?? reasons[name] ?? 'the connection failed';
  return new AppError(
    'upstream_unreachable',
    `The upstream proxy ${upstreamName(upstreamUrl)} cannot be reached: ${reason}.`,
    { hint: 'Check that the proxy runs and that AIRLOCK_UPSTREAM_PROXY names it.' },
  );
}

/**
 * A tunnel through the upstream to `target`, as `host:port`.
 * @throws AppError upstream_auth_failed, upstream_unreachable; egress_failed when the upstream works and refuses this target
 */
export async function openTunnel(upstreamUrl: string, target: string, signal: AbortSignal): Promise<Socket> {
  const { host, port, headers } = upstreamAccess(upstreamUrl);
  const connect = request({
    ...{ ...patience, host, port, method: 'CONNECT', path: target, agent: false, signal },
    headers: ['host', target, ...headers],
  });
  connect.end();
  let answer: [IncomingMessage, Socket, Buffer];
  try {
    answer = (await once(connect, 'connect')) as typeof answer;
  } catch (error) {
    connect.destroy();
    throw upstreamUnreachable(upstreamUrl, signal.aborted ? signal.reason : error);
  }
  const [{ statusCode = 0 }, socket, head] = answer;
  if (statusCode === 200) {
    socket.unshift(head);
    return socket;
  }
  socket.destroy();
  if (statusCode === 407 || statusCode === 401) throw upstreamAuthFailed(upstreamUrl);
  throw new AppError(
    'egress_failed',
    `The upstream proxy ${upstreamName(upstreamUrl)} answers ${statusCode} for ${target}.`,
  );
}

/** Asks the upstream for a tunnel to `target` and closes it again. Null when the upstream is reachable and lets us in. */
export async function tryUpstream(upstreamUrl: string, target: string, signal: AbortSignal): Promise<AppError | null> {
  try {
    const socket = await openTunnel(upstreamUrl, target, withDeadline(signal, trialMs));
    socket.destroy();
    return null;
  } catch (error) {
    const problem = AppError.from(error);
    // Any other refusal is about the target, not about the proxy.
    return signal.aborted || problem.code === 'egress_failed' ? null : problem;
  }
}
