/** One HTTP call to the controller: JSON in, JSON out, parsed strictly. */
import { pageHeader } from '@airlock/contract/login';
import { AppError, ErrorResponse } from '@airlock/contract/errors';
import { z } from 'zod';
import { noteServerDate } from './clock.js';
import { pageSecret } from './page-secret.js';

/** The schema of an answer without a body (204). */
export const NoContent = z.undefined();

interface RequestOptions {
  body?: Record<string, string | number | boolean | Record<string, string>>;
  signal?: AbortSignal | undefined;
}

/**
 * Calls `method path` and parses the answer with `schema`.
 * Rejects with the server's own AppError, or `internal` when it cannot be reached or answers outside the contract.
 */
export async function request<T>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  schema: z.ZodType<T>,
  options: RequestOptions = {},
): Promise<T> {
  const response = await send(method, path, options);
  noteServerDate(response.headers.get('date'));
  const body = await readJson(response);
  if (!response.ok) throw errorOf(method, path, response.status, body);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new AppError('internal', `${method} ${path} answered outside the API contract: ${firstIssue(parsed.error)}`, {
    hint: 'Reload this page: it may be older than the controller.',
    cause: parsed.error,
  });
}

/** The body of an answer that comes in pieces, such as a stream of events. Rejects like `request`. */
export async function requestStream(
  method: 'GET' | 'POST',
  path: string,
  options: RequestOptions,
): Promise<ReadableStream<Uint8Array>> {
  const response = await send(method, path, options);
  if (response.ok && response.body !== null) return response.body;
  throw errorOf(method, path, response.status, await readJson(response));
}

async function send(method: string, path: string, { body, signal }: RequestOptions): Promise<Response> {
  const secret = pageSecret();
  try {
    return await fetch(path, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      headers: {
        accept: 'application/json, text/event-stream',
        ...(secret !== null && { [pageHeader]: secret }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new AppError('internal', 'Airlock cannot be reached.', {
      hint: 'Check the connection of this computer, and try again; if that does not help, tell whoever runs this Airlock.',
      cause: error,
    });
  }
}

/** Undefined when there is no body, or none that is JSON: the schema then refuses it. */
async function readJson(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorOf(method: string, path: string, status: number, body: unknown): AppError {
  const parsed = ErrorResponse.safeParse(body);
  if (parsed.success) return AppError.fromBody(parsed.data.error);
  return new AppError('internal', `${method} ${path} failed with HTTP ${status} and no explanation.`, {
    hint: 'If a proxy stands between you and Airlock, look at its log first.',
  });
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'unknown reason';
  return `${issue.path.join('.') || 'the whole answer'}: ${issue.message}`;
}
