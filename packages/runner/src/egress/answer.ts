/**
 * Answers of the gateway itself, as the guest sees them: an `ErrorResponse` and a status of the catalogue. proxy-chain
 * reports upstream failures by statuses of its own (590–599) and an empty body; they are translated on their way out.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { RequestError } from 'proxy-chain';
import type { AppError, ErrorResponse } from '@airlock/contract/errors';
import type { z } from 'zod';

const headers = { 'content-type': 'application/json' };

function bodyOf(error: AppError): string {
  return JSON.stringify({ error: error.toBody() } satisfies z.infer<typeof ErrorResponse>);
}

/** The error in the form in which proxy-chain passes it to the guest. */
export function requestError(error: AppError): RequestError {
  return new RequestError(bodyOf(error), error.status, headers);
}

/** Finds the error for a status that proxy-chain made up; null leaves the answer as it is. */
export type Translate = (status: number) => AppError | null;

/** For CONNECT: proxy-chain ends the raw socket with a whole answer, given as text. */
export function translateEnd(socket: Socket, translate: Translate): void {
  const end = socket.end.bind(socket);
  socket.end = (...args: unknown[]): Socket => {
    const status = typeof args[0] === 'string' ? /^HTTP\/1\.1 (59\d|504) /.exec(args[0])?.[1] : undefined;
    const error = status === undefined ? null : translate(Number(status));
    if (!error) return (end as (...all: unknown[]) => Socket)(...args);
    const body = bodyOf(error);
    return end(
      `HTTP/1.1 ${error.status} ${error.code}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  };
}

/** For plain HTTP: proxy-chain ends the response with such a status before any header was sent. */
export function translateResponse(response: ServerResponse, translate: Translate): void {
  const end = response.end.bind(response);
  response.end = ((...args: unknown[]) => {
    const made = response.headersSent ? null : translate(response.statusCode);
    if (!made) return (end as (...all: unknown[]) => ServerResponse)(...args);
    response.writeHead(made.status, headers);
    return end(bodyOf(made));
  }) as typeof response.end;
}
