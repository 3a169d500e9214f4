/** What somebody else wrote into an error stays in the log. */
import { afterEach, expect, it, vi } from 'vitest';
import { AppError, onFault } from './errors.js';

const told = vi.fn<(id: string, error: unknown) => void>();
onFault(told);
afterEach(() => told.mockClear());

const query = new Error('Failed query: insert into users (token_hash) values ($1)\nparams: CANARY');

it.each([
  ['a failed query', query],
  [
    'one with more members',
    Object.assign(new Error('CANARY'), { code: 'CANARY', hint: 'CANARY', details: { a: 'CANARY' } }),
  ],
  ['a text', 'CANARY'],
  ['nothing', undefined],
])('an unknown error is a fixed sentence and an id to people, and all of it to the log: %s', (_what, error) => {
  const fault = AppError.from(error);
  const body = fault.toBody();
  expect(JSON.stringify(body)).not.toContain('CANARY');
  expect(body).toEqual({
    code: 'internal',
    message: expect.stringMatching(/^An unexpected fault occurred \(flt_[0-9a-z]{16}\)\.$/) as string,
    hint: 'The log of the program that reports it has the details under this id.',
  });
  expect(told).toHaveBeenCalledExactlyOnceWith(/flt_\w+/.exec(body.message)?.[0], error);
  expect(fault.cause).toBe(error);
});

it('has one id wherever it is caught, and is told once', () => {
  const error = new Error('x');
  expect(AppError.from(error)).toBe(AppError.from(error));
  expect(AppError.from(AppError.from(error))).toBe(AppError.from(error));
  expect(told).toHaveBeenCalledTimes(1);
});

it('says no more of what was cancelled', () => {
  const { code, message } = AppError.from(new DOMException('CANARY', 'AbortError'));
  expect([code, message]).toEqual(['aborted', 'The operation was cancelled.']);
  expect(told).not.toHaveBeenCalled();
});
