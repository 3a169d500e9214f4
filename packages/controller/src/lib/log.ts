/** The controller's log: one JSON object a line on standard output. Holds no secret; see `redacted`. */
import { pino, type DestinationStream, type Logger } from 'pino';
import type { Settings } from '@airlock/contract/settings';

export type Log = Logger;

const secretNames = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-airlock-page',
  'token',
  'password',
  'agentToken',
  'vncPassword',
  'homeKey',
];
/** The last line of defence: callers do not log secrets; should one slip in under these names, it is not written. */
const redacted = secretNames.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]);

/** A log at the level of AIRLOCK_LOG_LEVEL. `destination` replaces standard output in tests. */
export function createLog(
  settings: Pick<Settings, 'AIRLOCK_LOG_LEVEL'>,
  destination: DestinationStream = pino.destination({ dest: 1, sync: true }),
): Log {
  return pino(
    {
      level: settings.AIRLOCK_LOG_LEVEL,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redacted, censor: '[hidden]' },
    },
    destination,
  );
}
