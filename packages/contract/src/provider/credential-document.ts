/** Reads a JSON document of a credential, and says what is wrong with it without quoting it. Pure. */
import type { z } from 'zod';
import { parseReceived } from '../received.js';
import type { FileTexts } from './facts.js';

export function readDocument<T>(
  files: FileTexts,
  path: string,
  schema: z.ZodType<T>,
): { value: T; reason?: never } | { value?: never; reason: string } {
  const text = files.get(path);
  if (text === undefined) return { reason: `${path} does not exist` };
  let json: unknown;
  try {
    json = parseReceived(text);
  } catch {
    return { reason: `${path} is not JSON (perhaps half written)` };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { value: parsed.data };
  const missing = parsed.error.issues.map((issue) => issue.path.join('.') || 'the whole document').join(', ');
  return { reason: `${path} lacks ${missing}` };
}
