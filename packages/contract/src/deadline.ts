/** A signal that fires after a time, for one that also fires for another reason. */

/**
 * Fires with `signal`, or after `ms` milliseconds with a TimeoutError. Does not keep the process alive.
 * AbortSignal.any over AbortSignal.timeout will not do: both hold each other weakly, and Node 20 collects a timeout that
 * nothing else holds as garbage, so that it never fires.
 */
export function withDeadline(signal: AbortSignal, ms: number): AbortSignal {
  const late = new AbortController();
  const fire = (): void => late.abort(new DOMException(`The operation took longer than ${ms} ms.`, 'TimeoutError'));
  setTimeout(fire, ms).unref();
  return AbortSignal.any([signal, late.signal]);
}
