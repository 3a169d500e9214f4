/**
 * A plain request: exactly one a connection, on both sides. What goes out is written anew from the head that was judged, so that no byte
 * of the guest decides where a request ends.
 */
import { request as httpRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { AppError } from '@airlock/contract/errors';
import { fail } from './answer.js';
import { maxHeadBytes, type Head } from './head.js';
import { authorityOf, hostAndPort, pathOf, type Target } from './target.js';
import { egressFailed } from './tunnel.js';
import { patience, tryUpstream, upstreamAccess, upstreamUnreachable } from './upstream.js';
import type { Way } from './way.js';

/** What a plain request was found to be, and where it goes. */
export interface Plain {
  head: Head;
  way: Way;
}

/**
 * Passes one request on, and its answer back. `onError` hears of failures of the upstream before the guest is told.
 * `incoming` gives the body alone: Node has taken its framing off.
 */
export function forward(
  incoming: IncomingMessage,
  response: ServerResponse,
  { head, way }: Plain,
  onError: (error: AppError) => void,
): void {
  const outgoing = httpRequest(optionsOf(head, way));
  // From then on an upstream may pass on what the other end does: breaking off is no word of its own.
  let hasConnected = false;
  outgoing.once('socket', (socket) => socket.once('connect', () => (hasConnected = true)));
  const end = (error: AppError): void => {
    onError(error);
    fail(response, error);
    outgoing.destroy();
  };
  const gone = new AbortController();
  outgoing.on('response', (answer) => {
    if (way.upstreamUrl !== null && answer.statusCode === 407) {
      outgoing.destroy();
      const unsure = (error: unknown): void => end(egressFailed(hostAndPort(way.target), error));
      whoRefuses(way.upstreamUrl, way.target, gone.signal).then(end, unsure);
      return;
    }
    passBack(answer, response).catch((error: unknown) => end(egressFailed(hostAndPort(way.target), error)));
  });
  // Node says of it neither an answer nor an error.
  outgoing.on('upgrade', (_answer, socket) => {
    socket.destroy();
    end(egressFailed(hostAndPort(way.target), new Error('it answers 101')));
  });
  outgoing.on('error', (error) => {
    // Whoever has left, or has the head of an answer, is told nothing; nor is anything known of the upstream by that.
    if (response.destroyed || response.headersSent) response.destroy();
    else if (way.upstreamUrl === null || hasConnected) end(egressFailed(hostAndPort(way.target), error));
    else end(upstreamUnreachable(way.upstreamUrl, error));
  });
  response.once('close', () => {
    gone.abort();
    outgoing.destroy();
  });
  if (head.body === 'none') outgoing.end();
  else incoming.pipe(outgoing);
}

/**
 * What a 407 means: it may be the other end's, which an upstream passes on. What answers a CONNECT is the upstream itself.
 */
async function whoRefuses(upstreamUrl: string, target: Target, signal: AbortSignal): Promise<AppError> {
  const problem = await tryUpstream(upstreamUrl, hostAndPort({ ...target, port: 443 }), signal);
  if (problem?.code === 'upstream_auth_failed') return problem;
  return egressFailed(hostAndPort(target), new Error('it answers 407'));
}

function optionsOf(head: Head, { target, upstreamUrl, lookup }: Way): RequestOptions {
  const authority = authorityOf(target);
  const upstream = upstreamUrl === null ? null : upstreamAccess(upstreamUrl);
  const path = pathOf(head.url);
  return {
    ...(upstream === null ? { ...target, lookup } : { host: upstream.host, port: upstream.port }),
    ...{ ...patience, method: head.method, agent: false, insecureHTTPParser: false, maxHeaderSize: maxHeadBytes },
    path: upstream === null ? path : `http://${authority}${path}`,
    // As a list, which Node writes as it is: the framing is this one, and nothing is added to it.
    headers: [
      ...['host', authority, 'connection', 'close'],
      ...framingOf(head),
      ...(upstream?.headers ?? []),
      ...endToEnd(head.headers, ['host', 'content-length', 'expect', 'http2-settings']),
    ],
  } as RequestOptions;
}

function framingOf({ method, body }: Head): string[] {
  if (body === 'chunked') return ['transfer-encoding', 'chunked'];
  if (body !== 'none') return ['content-length', String(body)];
  return ['POST', 'PUT', 'PATCH'].includes(method) ? ['content-length', '0'] : [];
}

const hopByHop = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'];

/** Headers for the other end alone, as a flat list: none of `without`, of this connection, or of a proxy. */
function endToEnd(headers: Head['headers'], without: readonly string[]): string[] {
  const named = headers
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(','));
  const dropped = new Set([...hopByHop, ...without, ...named.map((name) => name.trim().toLowerCase())]);
  return headers.flatMap(([name, value]) => {
    const lower = name.toLowerCase();
    return dropped.has(lower) || lower.startsWith('proxy-') ? [] : [name, value];
  });
}

async function passBack(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  const { statusCode = 0, rawHeaders } = answer;
  if (statusCode < 200 || statusCode > 599) throw new Error(`it answers ${statusCode}`);
  const headers = rawHeaders.flatMap((name, at): [string, string][] =>
    at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : [],
  );
  response.writeHead(statusCode, ['connection', 'close', ...endToEnd(headers, [])]);
  await pipeline(answer, response);
}
