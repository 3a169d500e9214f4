/** How Claude Code runs one prompt without a terminal. Its events (stream-json) as observed with version 2.1.197. */
import { z } from 'zod';
import type { ProviderPrompt } from './provider.js';

/** A piece of what the model says; a subagent's words (they have a parent) are not for the person. */
const Delta = z.looseObject({
  type: z.literal('stream_event'),
  parent_tool_use_id: z.null(),
  event: z.looseObject({
    type: z.literal('content_block_delta'),
    delta: z.looseObject({ type: z.literal('text_delta'), text: z.string() }),
  }),
});
/** The end of one message: what follows is another one. */
const MessageEnd = z.looseObject({
  type: z.literal('stream_event'),
  parent_tool_use_id: z.null(),
  event: z.looseObject({ type: z.literal('message_stop') }),
});
const Failure = z.looseObject({ type: z.literal('result'), is_error: z.literal(true), result: z.string().optional() });

export const claudePrompt: ProviderPrompt = {
  // Without an argument the prompt is read from standard input. No copy of the conversation stays on the disk.
  argv: [
    'claude',
    '--print',
    '--output-format',
    'stream-json',
    '--verbose',
    '--include-partial-messages',
    '--no-session-persistence',
  ],
  read(line) {
    const event = parseJson(line);
    const delta = Delta.safeParse(event).data;
    if (delta) return { text: delta.event.delta.text };
    if (MessageEnd.safeParse(event).success) return { text: '\n' };
    const failure = Failure.safeParse(event).data;
    return failure ? { error: failure.result ?? 'Claude Code gave no reason.' } : null;
  },
};

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Not JSON: a word of the CLI to nobody in particular.
    return undefined;
  }
}
