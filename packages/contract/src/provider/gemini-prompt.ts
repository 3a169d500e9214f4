/** How Gemini CLI runs one prompt without a terminal. Its events (stream-json) as observed with @google/gemini-cli 0.61. */
import { z } from 'zod';
import type { ProviderPrompt } from './provider.js';

/** The events that tell a person something. Others (the prompt itself, tools, warnings) come and go with versions. */
const Event = z.union([
  z.looseObject({ type: z.literal('message'), role: z.literal('assistant'), content: z.string() }),
  z.looseObject({
    type: z.literal('result'),
    status: z.literal('error'),
    error: z.looseObject({ message: z.string() }),
  }),
]);

export const geminiPrompt: ProviderPrompt = {
  // Whatever is not a terminal makes the CLI read its prompt from standard input.
  argv: ['gemini', '--output-format', 'stream-json'],
  // Started directly and not a second time; and a login that is not accepted ends the run instead of asking for a new one.
  env: { GEMINI_CLI_NO_RELAUNCH: 'true', NO_BROWSER: 'true' },
  read(line) {
    const event = parseEvent(line);
    if (!event) return null;
    // Pieces of one answer: the CLI puts line breaks where they belong.
    return event.type === 'result' ? { error: event.error.message } : { text: event.content };
  },
};

/** undefined for a line that is no event of interest. */
function parseEvent(line: string): z.infer<typeof Event> | undefined {
  try {
    return Event.safeParse(JSON.parse(line)).data;
  } catch {
    // Not JSON: a word of the CLI to nobody in particular.
    return undefined;
  }
}
