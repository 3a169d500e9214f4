/** Answers of the gateway itself, as the guest sees them: an `ErrorResponse` and a status of the catalogue, at the cost of the connection. */
import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AppError, ErrorResponse } from '@airlock/contract/errors';
import type { z } from 'zod';

const bodyOf = (error: AppError): string =>
  JSON.stringify({ error: error.toBody() } satisfies z.infer<typeof ErrorResponse>);

/** To whoever has only sent a head. */
export function refuse(guest: Socket, error: AppError): void {
  const body = bodyOf(error);
  guest.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? error.code}\r\nconnection: close\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** To a plain request; one that has been answered by half breaks off. */
export function fail(response: ServerResponse, error: AppError): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(error.status, ['connection', 'close', 'content-type', 'application/json']).end(bodyOf(error));
}
