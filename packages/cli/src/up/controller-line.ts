/** What to do with one line of the controller's output. Pure. */
import { z } from 'zod';

const Entry = z.looseObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
  msg: z.string().optional(),
  err: z.looseObject({ message: z.string() }).optional(),
});

export type ControllerLine =
  /** The sentence with the one-time login link: for the terminal only, never for a file. */
  | { kind: 'ready'; text: string }
  /** For the log; `shown` also goes to the terminal. */
  | { kind: 'log'; text: string; shown: string | null };

export function readControllerLine(line: string): ControllerLine {
  if (line.startsWith('Airlock is ready: ')) return { kind: 'ready', text: line };
  const entry = parseEntry(line);
  if (entry === null) return { kind: 'log', text: line, shown: line };
  const name = { warn: 'warning', error: 'error', fatal: 'error' }[entry.level as string];
  if (name === undefined) return { kind: 'log', text: line, shown: null };
  const words = [entry.msg, entry.err?.message].filter((text) => text !== undefined && text !== '');
  return { kind: 'log', text: line, shown: `${name}: ${words.join(': ') || line}` };
}

function parseEntry(line: string): z.infer<typeof Entry> | null {
  if (!line.startsWith('{')) return null;
  try {
    return Entry.safeParse(JSON.parse(line)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
