/** How Codex runs one prompt without a terminal. Its events (`--json`) as observed with @openai/codex 0.169. */
import { z } from 'zod';
import type { ProviderPrompt } from './provider.js';

/** The events that tell a person something. Others (reasoning, commands, passing troubles) come and go with versions. */
const Event = z.union([
  z.looseObject({
    type: z.literal('item.completed'),
    item: z.looseObject({ type: z.literal('agent_message'), text: z.string() }),
  }),
  z.looseObject({ type: z.literal('turn.failed'), error: z.looseObject({ message: z.string() }) }),
]);

export const codexPrompt: ProviderPrompt = {
  // Ephemeral: no copy of the conversation stays on the disk. The directory need not be a git repository.
  argv: ['codex', 'exec', '--json', '--ephemeral', '--skip-git-repo-check', '-'],
  read(line) {
    const event = parseEvent(line);
    if (!event) return null;
    return event.type === 'turn.failed' ? { error: event.error.message } : { text: `${event.item.text}\n` };
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
