/** One line of a CLI's output as the event that it is. */
import type { z } from 'zod';

/** undefined for a line that is not JSON (a word of the CLI to nobody in particular) or no event of this schema. */
export function readJsonLine<T extends z.ZodType>(schema: T, line: string): z.infer<T> | undefined {
  try {
    return schema.safeParse(JSON.parse(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
