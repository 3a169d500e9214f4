import { expect, it } from 'vitest';
import { CanaryReport } from '@airlock/contract/canary';
import { isContent, lineOf, untried, verdict } from './canary-verdict.mjs';

const clis = [
  { id: 'codex', version: '0.170.0' },
  { id: 'claude_code', version: '2.2.0' },
  { id: 'gemini_cli', version: '0.62.0' },
];
const same = (version) => ({ version, node: '>=20', missing: null });
const newest = { codex: same('0.170.0'), claude_code: same('2.2.0'), gemini_cli: same('0.62.0') };
const judge = (testResults, latest = newest, node = 'v20.19.2') => verdict(clis, { testResults }, { latest, node });
const suite = (id, ...tests) => tests.map((test) => ({ ancestorTitles: [id], ...test }));
const isBad = ({ status }) => status === 'failed';
/** As vitest tells of the one file, in which each CLI has a suite. */
const file = (...tests) => [{ status: tests.some(isBad) ? 'failed' : 'passed', assertionResults: tests }];
const passed = { title: 'completes', status: 'passed' };
const skipped = { title: 'completes', status: 'skipped' };
const failed = { title: 'opens', status: 'failed', failureMessages: ['Error: no page after 180 s\n  at x.ts'] };

it('names each CLI with its version, and where it fails', () => {
  const judged = judge(
    file(...suite('codex', passed), ...suite('claude_code', skipped), ...suite('gemini_cli', passed, failed, skipped)),
  );
  expect(judged.map(lineOf)).toEqual([
    'codex 0.170.0: signs in',
    'claude_code 2.2.0: not tried',
    'gemini_cli 0.62.0: FAILS at "opens": Error: no page after 180 s',
  ]);
  expect(isContent(judged)).toBe(false);
});

it.each([
  [
    'the image’s Node',
    { version: '2.3.0', node: '>=22.0.0', missing: null },
    "kept back by the image's Node 20: latest 2.3.0 asks for Node >=22.0.0",
  ],
  ['the vendor', { version: '2.3.0', node: null, missing: '@a/x' }, 'latest 2.3.0 is not published as @a/x'],
  ['something that npm does not tell', same('2.3.0'), /^latest is 2\.3\.0; npm did not take it/],
  ['a registry that does not answer', null, 'the registry did not tell the latest'],
])('says when a CLI may not be the newest because of %s, and still whether it signs in', (_what, latest, why) => {
  const [, claude] = judge(file(...suite('claude_code', passed)), { ...newest, claude_code: latest });
  expect(claude.latest).toBe(latest?.version ?? null);
  expect(lineOf(claude)).toMatch(/^claude_code 2\.2\.0: signs in \(.+\)$/);
  if (latest !== null) expect(claude.keptBack).toMatch(why);
  else expect(lineOf(claude)).toContain(why);
});

it.each(['2.2.0', '2.1.9', '2.2.0-beta.1'])('says nothing of a CLI that is as new as %s', (latest) => {
  expect(judge([], { ...newest, claude_code: same(latest) })[1]).toMatchObject({ latest, keptBack: null });
});

it('names what a CLI wrote beside its login, as the sign-in noted it', () => {
  const leftOut = ['.codex/auth.json: tokens.new_member'];
  const [codex] = judge(file(...suite('codex', { ...passed, meta: { leftOut } }, { ...passed, meta: {} })));
  expect(codex).toMatchObject({ signsIn: 'yes', leftOut });
  expect(lineOf(codex)).toBe(
    'codex 0.170.0: signs in; beside its login it wrote .codex/auth.json: tokens.new_member, which is not handed over',
  );
});

it('is content when all that was tried signs in', () => {
  expect(isContent(judge(file(...suite('claude_code', passed), ...suite('after', passed))))).toBe(true);
});

it.each([
  ['nothing ran', []],
  ['no test of a CLI passed', file(...suite('codex', skipped), ...suite('after', passed))],
  ['the file could not be opened', [{ status: 'failed', message: 'SyntaxError', assertionResults: [] }]],
  ['nothing of it could begin', [{ status: 'failed', message: 'no home', assertionResults: suite('codex', skipped) }]],
  [
    'something is found afterwards',
    file(...suite('codex', passed), ...suite('after', { ...failed, title: 'secrets' })),
  ],
])('is not content when %s', (_what, testResults) => {
  expect(isContent(judge(testResults))).toBe(false);
});

it('is what a report may hold, also where no image could be made', () => {
  const at = new Date(0).toISOString();
  const all = [
    judge(file(...suite('codex', passed), ...suite('gemini_cli', failed))),
    untried({ ...newest, codex: null }),
  ];
  for (const judged of all) expect(CanaryReport.parse({ at, problem: null, clis: judged }).clis).toEqual(judged);
});
