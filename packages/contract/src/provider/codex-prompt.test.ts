import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { codex } from './codex.js';
import type { ProviderPrompt } from './facts.js';

const prompt = codex.prompt as ProviderPrompt;

const recorded = (name: string): string[] =>
  readFileSync(new URL(`fixtures/codex-0.169-${name}.jsonl`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
const told = (lines: string[]) => lines.map((line) => prompt.read(line)).filter((part) => part !== null);

describe('codex exec', () => {
  it('tells the answer and none of the troubles on the way', () => {
    expect(told(recorded('exec'))).toEqual([{ text: 'Hello from fake\n' }]);
  });

  it('tells once why it gives up', () => {
    expect(told(recorded('exec-failed'))).toEqual([
      { error: '{"detail":"The model is not available for this account."}' },
    ]);
  });

  it.each(['', 'null', '[]', '{', '{"type":"item.completed"}', 'WARNING: proceeding', '{"type":7}'])(
    'makes nothing of %j',
    (line) => expect(prompt.read(line)).toBeNull(),
  );

  it('never has the prompt in its arguments', () => {
    expect(prompt.argv.at(-1)).toBe('-');
  });
});
