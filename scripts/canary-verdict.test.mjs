import { expect, it } from 'vitest';
import { verdict } from './canary-verdict.mjs';

const versions = { codex: '0.170.0', claude: '2.2.0', gemini: '0.62.0' };
const file = (name, ...assertionResults) => ({
  name: `/x/tests/e2e/${name}-sign-in.test.ts`,
  status: assertionResults.every(({ status }) => status === 'passed') ? 'passed' : 'failed',
  assertionResults,
});
const passed = { title: 'completes', status: 'passed' };
const failed = { title: 'opens', status: 'failed', failureMessages: ['Error: no page after 180 s\n  at x.ts'] };

it('names each CLI with its version, and where it fails', () => {
  const report = {
    testResults: [file('codex', passed), file('gemini', passed, failed, { title: 'x', status: 'skipped' })],
  };
  expect(verdict(versions, report)).toEqual({
    lines: [
      'codex 0.170.0: signs in',
      'claude 2.2.0: not tried',
      'gemini 0.62.0: FAILS at "opens": Error: no page after 180 s',
    ],
    ok: false,
  });
});

it('is content when all that was tried signs in', () => {
  expect(verdict(versions, { testResults: [file('claude', passed)] }).ok).toBe(true);
});

it.each([
  ['nothing ran', { testResults: [] }],
  ['a file has no test that passed', { testResults: [file('codex')] }],
  ['a file could not be opened', { testResults: [{ ...file('codex'), status: 'failed', message: 'SyntaxError' }] }],
])('is not content when %s', (_what, report) => {
  expect(verdict(versions, report).ok).toBe(false);
});
