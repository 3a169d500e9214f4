import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { claudeCode } from './claude-code.js';
import type { ProviderPrompt } from './facts.js';

const prompt = claudeCode.prompt as ProviderPrompt;

const recorded = (name: string): string[] =>
  readFileSync(new URL(`fixtures/claude-2.1.197-${name}.jsonl`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
const told = (lines: string[]) => lines.map((line) => prompt.read(line)).filter((part) => part !== null);

describe('claude --print', () => {
  it('tells the answer piece by piece, and once', () => {
    const parts = told(recorded('prompt'));
    expect(parts.length).toBeGreaterThan(5);
    expect(parts.map((part) => ('text' in part ? part.text : '')).join('')).toBe(
      'Simulated Claude heard: say hello to me\n\n',
    );
  });

  it('tells once why it gives up', () => {
    expect(told(recorded('prompt-failed'))).toEqual([{ error: 'Not logged in · Please run /login' }]);
  });

  it('keeps the words of a subagent to itself', () => {
    const event = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'inner' } };
    expect(prompt.read(JSON.stringify({ type: 'stream_event', parent_tool_use_id: 't', event }))).toBeNull();
  });

  it.each([
    '',
    'null',
    '[]',
    '{',
    '{"type":"stream_event"}',
    'Warning: x',
    '{"type":7}',
    '{"type":"result","is_error":false}',
  ])('makes nothing of %j', (line) => expect(prompt.read(line)).toBeNull());
});
