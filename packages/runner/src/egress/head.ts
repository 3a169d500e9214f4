/**
 * The head of a guest's request: read from the wire to its end and no further, and understood in one way only. What two parsers could
 * read differently is refused before anything else looks at it.
 */
import type { Socket } from 'node:net';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';

/** Bytes of a head. */
export const maxHeadBytes = 64 * 1024;

export interface Head {
  method: string;
  /** The request target, as written. */
  url: string;
  version: '1.0' | '1.1';
  /** In their order, as written; values without the space around them. */
  headers: readonly (readonly [name: string, value: string])[];
  /** How the body is framed: not there, of so many bytes, or in chunks. */
  body: 'none' | 'chunked' | number;
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT']);
/** Their requests may have a body in chunks. */
const chunkedMethods = new Set(['POST', 'PUT', 'PATCH']);

const malformed = (what: string): AppError =>
  new AppError('invalid_request', `The egress gateway does not take this request: ${what}.`);

/**
 * Reads a head, with the empty line at its end; what comes after it stays in the socket, which is paused. A head of bare line feeds is
 * answered too: its bytes come back for `parseHead` to refuse.
 * @throws AppError aborted when the guest leaves, or takes longer than `deadlineMs`; invalid_request when the head is too long
 */
export async function readHead(guest: Socket, deadlineMs: number): Promise<Buffer> {
  const over = new AbortController();
  const onGone = (): void => over.abort(new AppError('aborted', 'The guest has left before its request was whole.'));
  const timer = setTimeout(onGone, deadlineMs);
  guest.on('end', onGone).on('close', onGone);
  let onData: ((chunk: Buffer) => void) | undefined;
  try {
    const head = new Promise<Buffer>((resolve, reject) => {
      onData = collect(guest, resolve, reject);
      guest.on('data', onData);
    });
    return await raceAbort(head, over.signal);
  } finally {
    clearTimeout(timer);
    guest.off('end', onGone).off('close', onGone);
    if (onData) guest.off('data', onData);
  }
}

/** Pieces of a head that are kept apart: a guest may send it byte by byte. */
const piecesAtMost = 64;

function collect(guest: Socket, resolve: (head: Buffer) => void, reject: (error: AppError) => void) {
  const chunks: Buffer[] = [];
  let size = 0;
  let last = '';
  return (chunk: Buffer): void => {
    chunks.push(chunk);
    if (chunks.length > piecesAtMost) chunks.splice(0, chunks.length, Buffer.concat(chunks));
    // The end may begin three bytes before this chunk.
    const text = last + chunk.toString('latin1');
    const end = /\r\n\r\n|(?<!\r)\n/.exec(text);
    const bytes = size + (end === null ? chunk.length : end.index + end[0].length - last.length);
    size += chunk.length;
    last = text.slice(-3);
    if (bytes > maxHeadBytes) return reject(malformed(`its head has more than ${maxHeadBytes} bytes`));
    if (end === null) return;
    const all = Buffer.concat(chunks);
    guest.pause();
    if (bytes < all.length) guest.unshift(all.subarray(bytes));
    resolve(all.subarray(0, bytes));
  };
}

/**
 * The head that Node is given in the place of this one, to take the framing off the body and put it on the answer. Of everything else it
 * knows nothing, and so answers nothing by itself.
 */
export function bareHead({ method, version, headers, body }: Head): string {
  const waits = valuesOf(headers, 'expect').some((value) => value.toLowerCase() === '100-continue');
  const framed = body === 'chunked' ? 'transfer-encoding: chunked\r\n' : `content-length: ${body}\r\n`;
  const lines = body === 'none' ? '' : framed + (waits ? 'expect: 100-continue\r\n' : '');
  return `${method} / HTTP/${version}\r\nhost: gateway\r\n${lines}\r\n`;
}

/** @throws AppError invalid_request for a head that is not exact, method_refused */
export function parseHead(bytes: Buffer): Head {
  const text = bytes.toString('latin1');
  if (/(?<!\r)\n|\r(?!\n)/.test(text)) throw malformed('a line of its head does not end in CR and LF');
  const [first = '', ...lines] = text.slice(0, -4).split('\r\n');
  const [, method = '', url = '', version = ''] =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/(1\.[01])$/.exec(first) ?? [];
  if (version !== '1.0' && version !== '1.1') throw malformed('its first line is not exact');
  if (!methods.has(method)) throw new AppError('method_refused', `The egress gateway does not pass ${method} on.`);
  const headers = lines.map(parseHeader);
  const hosts = valuesOf(headers, 'host').length;
  if (hosts > 1 || (hosts === 0 && version === '1.1' && method !== 'CONNECT')) throw malformed(`it has ${hosts} Host`);
  return { method, url, version, headers, body: framing(method, version, headers) };
}

function parseHeader(line: string): [string, string] {
  // A line that begins with a space would continue the one before. Of control characters, only a tab is one of a value.
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw malformed('a header is not exact');
  return [name, trimmed(value)];
}

/** Without spaces and tabs around it; an expression would take the square of their number, and `trim` takes away more. */
function trimmed(value: string): string {
  let [start, end] = [0, value.length];
  while (value[start] === ' ' || value[start] === '\t') start += 1;
  while (end > start && (value[end - 1] === ' ' || value[end - 1] === '\t')) end -= 1;
  return value.slice(start, end);
}

function valuesOf(headers: Head['headers'], wanted: string): string[] {
  return headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
}

function framing(method: string, version: string, headers: Head['headers']): Head['body'] {
  const [length, ...otherLengths] = valuesOf(headers, 'content-length');
  const [coding, ...otherCodings] = valuesOf(headers, 'transfer-encoding');
  if (coding !== undefined) {
    if (length !== undefined) throw malformed('it has both Transfer-Encoding and Content-Length');
    if (otherCodings.length > 0 || coding.toLowerCase() !== 'chunked')
      throw malformed('it has a coding beside chunked');
    if (version !== '1.1' || !chunkedMethods.has(method)) throw malformed(`${method} has no body in chunks`);
    return 'chunked';
  }
  if (length === undefined) return 'none';
  if (otherLengths.length > 0 || !/^\d{1,15}$/.test(length)) throw malformed('its Content-Length is not one number');
  if (method === 'CONNECT' && Number(length) > 0) throw malformed('CONNECT has no body');
  return Number(length);
}
