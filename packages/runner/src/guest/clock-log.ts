/** The guest's clock, watched in the background as long as the VM lives; what happens to it goes to the log. */
import type { Logger } from 'pino';
import type { GuestAgent } from './agent.js';
import { keepClock, type ClockEvents } from './clock.js';

/** Of a VM that is ready, until `over`. */
export function watchClock(agent: GuestAgent, log: Logger, over: AbortSignal): void {
  keepClock(agent, clockEvents(log), over).catch((err: unknown) =>
    log.error({ err }, "the guest's clock could not be watched"),
  );
}

/** Of a guest whose clock goes wrong for ever; it must not be able to fill the log. */
const loggedClocks = 100;

function clockEvents(log: Logger): ClockEvents {
  let logged = 0;
  const note = (facts: object, what: string): void => {
    logged += 1;
    if (logged <= loggedClocks) log.info(facts, what);
  };
  return {
    moved: (byMs) => note({ byMs }, "the guest's clock was wrong, and was moved"),
    failed: ({ code, message }, isLast) =>
      note({ code, reason: message }, `the guest's clock could not be looked at${isLast ? ', and is left alone' : ''}`),
  };
}
