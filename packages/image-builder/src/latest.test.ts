import { expect, it } from 'vitest';
import { latestOf, type View } from './latest.js';

const registry =
  (answers: Record<string, object | string>): View =>
  async (spec) => {
    const answer = answers[spec] ?? '';
    return typeof answer === 'string' ? answer : JSON.stringify(answer);
  };
const native = { package: '@a/cli-linux-x64', file: 'cli' };

it('tells the latest, and the Node that it asks for', async () => {
  const view = registry({ '@a/cli@latest': { name: '@a/cli', version: '2.0.0', engines: { node: '>=22' } } });
  expect(await latestOf({ package: '@a/cli' }, view)).toEqual({ version: '2.0.0', node: '>=22', missing: null });
});

it('does not ask for the Node of a wrapper that is not installed', async () => {
  const view = registry({
    '@a/cli@latest': { name: '@a/cli', version: '2.0.0', engines: { node: '>=22' } },
    '@a/cli-linux-x64@2.0.0': { name: native.package, version: '2.0.0' },
  });
  expect(await latestOf({ package: '@a/cli', native }, view)).toEqual({ version: '2.0.0', node: null, missing: null });
});

it.each([
  ['as npm 10 says it', ''],
  ['as npm 11 says it', { error: { code: 'E404', summary: 'No match found for version 2.0.0' } }],
])('names the program that is not published in the version of its wrapper, %s', async (_how, absent) => {
  const view = registry({
    '@a/cli@latest': { name: '@a/cli', version: '2.0.0' },
    '@a/cli-linux-x64@2.0.0': absent,
  });
  expect(await latestOf({ package: '@a/cli', native }, view)).toEqual({
    version: '2.0.0',
    node: null,
    missing: '@a/cli-linux-x64',
  });
});

it.each(['', '"2.0.0"', '{"version":""}', 'npm notice', '{"error":{"code":"ECONNREFUSED"}}'])(
  'does not take %j for an answer',
  async (answer) => {
    await expect(latestOf({ package: '@a/cli' }, registry({ '@a/cli@latest': answer }))).rejects.toThrow(
      /expected|JSON|Too small/,
    );
    const program = registry({ '@a/cli@latest': { version: '2.0.0' }, '@a/cli-linux-x64@2.0.0': answer });
    if (answer !== '')
      await expect(latestOf({ package: '@a/cli', native }, program)).rejects.toThrow(/expected|JSON|Too small/);
  },
);
