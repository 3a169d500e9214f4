/** What the simulated hosts speak: a decoded request in, a whole response out. No sockets here. */

export interface WebRequest {
  method: string;
  host: string;
  path: string;
  query: URLSearchParams;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Body as text; empty when there is none. */
  body: string;
}

export interface WebResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type HostHandler = (request: WebRequest) => WebResponse;

/** The fields of an `application/x-www-form-urlencoded` body. */
export function formOf(request: WebRequest): URLSearchParams {
  return new URLSearchParams(request.body);
}

/** The token of an `Authorization: Bearer` header; empty when there is none. */
export function bearerOf(request: WebRequest): string {
  const value = request.headers['authorization'];
  return /^Bearer (\S+)$/.exec(typeof value === 'string' ? value : '')?.[1] ?? '';
}

export function html(status: number, body: string): WebResponse {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }, body };
}

export function text(status: number, body: string): WebResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${body}\n` };
}

export function json(status: number, value: unknown): WebResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(value),
  };
}

/** 303 turns a form post into a GET; 302 is what providers send to a callback. */
export function redirect(status: 302 | 303, location: string): WebResponse {
  return { status, headers: { location, 'cache-control': 'no-store' }, body: '' };
}

/** The members of a JSON body; none when it is anything else. */
export function jsonOf(request: WebRequest): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(request.body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // A body without members: whatever is looked for in it is missing, which the caller answers.
    return {};
  }
}

/** Server-sent events, each named by its `type`. */
export function eventStream(events: readonly ({ type: string } & Record<string, unknown>)[]): WebResponse {
  const body = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
  return { status: 200, headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }, body };
}

/** An answer whose body comes piece by piece. */
export interface StreamResponse {
  status: number;
  headers: Record<string, string>;
  pieces: AsyncIterable<string> | Iterable<string>;
}

/** `gone` fires when the caller hangs up. */
export type StreamHandler = (request: WebRequest, gone: AbortSignal) => StreamResponse;
