/** The user's upstream proxy: one trial at the start, and words for its failures. Never shows its credentials. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';

/** `host:port` of an upstream URL, fit to be shown. */
export function upstreamName(upstreamUrl: string): string {
  const { hostname, port } = new URL(upstreamUrl);
  return `${hostname}:${port === '' ? '80' : port}`;
}

/**
 * What a failed request tells about the upstream: `status` is an HTTP status of the upstream, or one of those that
 * proxy-chain makes up for failures of its own (593–596, 599, 504). Null when the upstream works and refused this target.
 */
export function upstreamFailure(status: number, name: string): AppError | null {
  if (status === 407 || status === 401 || status === 597) {
    return new AppError('upstream_auth_failed', `The upstream proxy ${name} refused the user name or password.`, {
      hint: 'Correct AIRLOCK_UPSTREAM_PROXY.',
    });
  }
  const reasons: Record<number, string> = {
    504: 'it does not answer',
    593: 'its name cannot be resolved',
    594: 'it refuses connections',
    595: 'it reset the connection',
    596: 'it closed the connection',
    599: 'the connection failed',
  };
  const reason = reasons[status];
  if (reason === undefined) return null;
  return new AppError('upstream_unreachable', `The upstream proxy ${name} cannot be reached: ${reason}.`, {
    hint: 'Check that the proxy runs and that AIRLOCK_UPSTREAM_PROXY names it.',
  });
}

const failureStatus: Record<string, number> = {
  ENOTFOUND: 593,
  EAI_AGAIN: 593,
  ECONNREFUSED: 594,
  ECONNRESET: 595,
  EPIPE: 596,
  ETIMEDOUT: 504,
  TimeoutError: 504,
};

/** Asks the upstream for a tunnel to `target` and closes it again. Null when the upstream is reachable and lets us in. */
export async function tryUpstream(upstreamUrl: string, target: string, signal: AbortSignal): Promise<AppError | null> {
  const { hostname, port, username, password } = new URL(upstreamUrl);
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  const connect = request({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 80 : Number(port),
    method: 'CONNECT',
    path: target,
    headers: { host: target, ...(username !== '' && { 'proxy-authorization': `Basic ${credentials}` }) },
    agent: false,
    signal: withDeadline(signal, 15_000),
  });
  connect.end();
  try {
    const [response, socket] = (await once(connect, 'connect')) as [IncomingMessage, Socket];
    socket.destroy();
    // Any other refusal is about the target, not about the proxy.
    const status = response.statusCode ?? 200;
    return status === 407 || status === 401 ? upstreamFailure(status, upstreamName(upstreamUrl)) : null;
  } catch (error) {
    if (signal.aborted) return null;
    const { code, name } = error as NodeJS.ErrnoException;
    return upstreamFailure(failureStatus[code ?? name] ?? 599, upstreamName(upstreamUrl));
  } finally {
    connect.destroy();
  }
}
