import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { geminiCli } from './gemini-cli.js';
import type { ProviderPrompt } from './facts.js';

const prompt = geminiCli.prompt as ProviderPrompt;

const told = (name: string) =>
  readFileSync(new URL(`fixtures/gemini-0.61-${name}.jsonl`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => prompt.read(line))
    .filter((part) => part !== null);

describe('a prompt to gemini', () => {
  it('tells the answer, and not the question', () => {
    expect(told('prompt')).toEqual([{ text: 'You said: Say hello to Ada.\n' }]);
  });

  it('tells why it gives up', () => {
    expect(told('prompt-failed')).toEqual([{ error: expect.stringContaining('API key not valid') as string }]);
  });

  it.each(['', 'null', '[]', '{', '{"type":"message","role":"assistant"}', 'Warning: x', '{"type":7}'])(
    'makes nothing of %j',
    (line) => expect(prompt.read(line)).toBeNull(),
  );

  it('never has the prompt in its arguments', () => {
    expect(prompt.argv).not.toContain('--prompt');
  });
});
