import { expect, it } from 'vitest';
import { CheckName, checkNameFor, checkNames, currentCheckName, guestProtocol } from './guest.js';

it('asks the agent of an image of before for the version of a CLI by the name that it knows', () => {
  expect(checkNameFor(1, 'version_claude_code')).toBe('claude');
  expect(checkNameFor(1, 'gemini')).toBe('gemini');
  expect(checkNameFor(1, 'proof_gemini_cli')).toBe('proof_gemini_cli');
  expect(checkNameFor(1, 'fetch')).toBe('fetch');
});

it('asks any other by the provider’s id, whatever name was given', () => {
  for (const name of ['claude', 'version_claude_code'] as const) {
    expect(checkNameFor(guestProtocol, name)).toBe('version_claude_code');
  }
});

it('takes each name for one check, and each check has its name', () => {
  for (const name of checkNames) expect(currentCheckName(name)).toBe(name);
  expect(new Set(CheckName.options).size).toBe(CheckName.options.length);
  expect(CheckName.safeParse('shell').success).toBe(false);
});
