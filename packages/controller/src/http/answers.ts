/** The answers that a route declares: its own, and the one form of every error. */
import { z } from 'zod';
import { ErrorResponse } from '@airlock/contract/errors';

export const answers = <Status extends number, T extends z.ZodType>(status: Status, schema: T) =>
  ({ [status]: schema, '4xx': ErrorResponse, '5xx': ErrorResponse }) as Record<Status, T> & {
    '4xx': typeof ErrorResponse;
    '5xx': typeof ErrorResponse;
  };

/** 204: done, nothing to say. */
export const noContent = z.undefined().describe('Done; no body.');
