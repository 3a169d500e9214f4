/**
 * How long a boot may take: until its deadline, and then as long as the VM gets on, but never past its bound. A busy host slows a
 * boot without end; one that stands still is not waited for.
 */
import { bootBoundOf, type VmSpec } from '@airlock/contract/runner';

/** A VM gets on when it has shown something new within this part of its `bootTimeoutMs`. */
const quietPart = 1 / 4;

export interface Late {
  /** Milliseconds since the start, and since the VM last got on. */
  waitedMs: number;
  quietMs: number;
}

export interface BootClock {
  /** The VM has shown something new. */
  progress(): void;
  /** It is ready, or gone. Idempotent. */
  end(): void;
}

/** Begins now; `late` is called once, unless it ends before. */
export function startBootClock(
  limits: Pick<VmSpec, 'bootTimeoutMs' | 'bootBoundMs'>,
  late: (late: Late) => void,
): BootClock {
  const { bootTimeoutMs } = limits;
  const begin = performance.now();
  let last = begin;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    const now = performance.now();
    const patience = Math.max(bootTimeoutMs, last - begin + quietPart * bootTimeoutMs);
    const leftMs = begin + Math.min(bootBoundOf(limits), patience) - now;
    if (leftMs > 0) timer = setTimeout(look, Math.ceil(leftMs));
    else late({ waitedMs: Math.round(now - begin), quietMs: Math.round(now - last) });
  };
  look();
  return {
    progress: () => void (last = performance.now()),
    end: () => clearTimeout(timer),
  };
}
