/** Turns everything that can go wrong in a request into `{error}` with a code of the catalogue. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type ErrorBody } from '@airlock/contract/errors';

/** The answer to a failed request. `requestId` is named where only the log can tell more. */
export function toAnswer(error: unknown, requestId: string): AppError {
  if (error instanceof AppError) return error;
  const { code, statusCode, validation, validationContext, message } = error as Partial<FastifyError>;
  if (validation) {
    const problems = validation.map((issue) => {
      const field = issue.instancePath.replace(/^\//, '').replaceAll('/', '.');
      return `${field === '' ? `the ${validationContext ?? 'request'}` : field}: ${issue.message ?? 'is wrong'}`;
    });
    return new AppError('invalid_request', `The request is not valid: ${problems.join('; ')}.`, {
      hint: 'GET /api/openapi.json describes every request.',
    });
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new AppError('payload_too_large', 'The request body is larger than this call takes.');
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new AppError('unsupported_media_type', 'The request body must be JSON.', {
      hint: 'Send it with the header content-type: application/json.',
    });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('invalid_request', `The request cannot be read: ${message ?? 'no reason was given'}.`);
  }
  return new AppError('internal', `An unexpected fault occurred (request ${requestId}).`, {
    hint: 'The log of the controller has the details under this request id.',
    cause: error,
  });
}

/** Logs what is the controller's own fault; a client never sees a stack. */
export function logFault(error: unknown, answer: AppError, request: FastifyRequest): void {
  if (answer.status >= 500) request.log.error({ err: error, code: answer.code }, 'request failed');
}

export function sendError(reply: FastifyReply, error: AppError): FastifyReply {
  const body: { error: ErrorBody } = { error: error.toBody() };
  return reply
    .status(error.status)
    .type('application/json')
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(body);
}
