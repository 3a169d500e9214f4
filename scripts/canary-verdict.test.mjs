import { expect, it } from 'vitest';
import { verdict } from './canary-verdict.mjs';

const clis = [
  { id: 'codex', version: '0.170.0' },
  { id: 'claude_code', version: '2.2.0' },
  { id: 'gemini_cli', version: '0.62.0' },
];
const file = (name, ...assertionResults) => ({
  name: `/x/tests/e2e/${name}-sign-in.test.ts`,
  status: assertionResults.every(({ status }) => status === 'passed') ? 'passed' : 'failed',
  assertionResults,
});
const passed = { title: 'completes', status: 'passed' };
const failed = { title: 'opens', status: 'failed', failureMessages: ['Error: no page after 180 s\n  at x.ts'] };

it('names each CLI with its version, and where it fails', () => {
  const report = {
    testResults: [file('codex', passed), file('gemini-cli', passed, failed, { title: 'x', status: 'skipped' })],
  };
  expect(verdict(clis, report)).toEqual({
    lines: [
      'codex 0.170.0: signs in',
      'claude_code 2.2.0: not tried',
      'gemini_cli 0.62.0: FAILS at "opens": Error: no page after 180 s',
    ],
    ok: false,
  });
});

it('is content when all that was tried signs in', () => {
  expect(verdict(clis, { testResults: [file('claude-code', passed)] }).ok).toBe(true);
});

it.each([
  ['nothing ran', { testResults: [] }],
  ['a file has no test that passed', { testResults: [file('codex')] }],
  ['a file could not be opened', { testResults: [{ ...file('codex'), status: 'failed', message: 'SyntaxError' }] }],
])('is not content when %s', (_what, report) => {
  expect(verdict(clis, report).ok).toBe(false);
});
