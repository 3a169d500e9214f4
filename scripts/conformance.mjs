/**
 * `npm run conformance`: the suite of drivers over each driver and network that this host has, as one table, driver × case. What
 * another host has found (QEMU under KVM, Linux under Firecracker) is added from the file that it saved.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './checkout.mjs';
import { must, readArgs, Stop } from './run.mjs';

export const subjects = ['boot', 'end', 'jail', 'kills', 'destroy', 'linux', 'firecracker'];

const help = `Usage: npm run conformance -- [--only ${subjects.join(',')}] [--with FILE]… [--save FILE] [--no-run]

Runs tests/vm/driver and prints a table in Markdown: driver and network × case, with the reason of what was skipped. Exit code 1 when
a case has failed. Needs what \`npm test\` needs, root for networks in namespaces, and a built tree.

  --only    these files of the suite only
  --with    add what another run has saved, as in a host with KVM: npm run test:kvm -- -- npm run conformance -- --save FILE
  --save    keep what was found
  --no-run  print only what --with adds
  --help    show this text
`;

/** @typedef {{column: string, case: string, state: string, note: string | null}} Result */

/** @returns {{only: string[], also: string[], save?: string, run: boolean} | undefined} undefined: help was asked for */
export function parse(args) {
  const text = { type: 'string' };
  const options = { only: text, save: text, with: { ...text, multiple: true }, 'no-run': { type: 'boolean' } };
  const asked = readArgs(args, { help, options });
  if (!asked) return undefined;
  const { only, save, with: also = [], 'no-run': noRun } = asked.values;
  const wanted = only?.split(',') ?? subjects;
  const unknown = wanted.filter((one) => !subjects.includes(one));
  if (unknown.length > 0) throw new Stop(`There is no part "${unknown.join(', ')}": choose of ${subjects.join(', ')}.`);
  return { only: wanted, also: also.map((file) => resolve(file)), run: !noRun, ...(save && { save: resolve(save) }) };
}

/** Cases that differ only in what chance decided are one. */
const caseOf = (name) =>
  name.replace(/ \(seed \d+, cycle \d+\): .*/, '').replace(/^destroy: \d+ times/, 'destroy: many times');

/** One cell: the worst of what the runs of a case came to. */
function cell(results) {
  const of = (state) => results.filter((one) => one.state === state);
  const [failed, passed] = [of('failed').length, of('passed').length];
  if (failed > 0) return { text: `**failed** ${failed} of ${results.length}` };
  if (passed > 0) return { text: passed > 1 ? `passed (${passed})` : 'passed' };
  if (results.length === 0) return { text: '–' };
  return { text: 'skipped', note: results.find(({ note }) => note)?.note ?? 'no reason given' };
}

/** @param {Result[]} results @returns {string} in Markdown; reasons of skips are numbered below it */
export function table(results) {
  const columns = [...new Set(results.map(({ column }) => column))].sort();
  const cases = [...new Set(results.map((one) => caseOf(one.case)))];
  const notes = [];
  const show = (name, column) => {
    const { text, note } = cell(results.filter((one) => one.column === column && caseOf(one.case) === name));
    if (note === undefined) return text;
    if (!notes.includes(note)) notes.push(note);
    return `${text} (${notes.indexOf(note) + 1})`;
  };
  const line = (cells) => `| ${cells.map((one) => one.replaceAll('|', '\\|')).join(' | ')} |`;
  const rows = cases.map((name) => line([name, ...columns.map((column) => show(name, column))]));
  const head = [line(['case', ...columns]), line(['---', ...columns.map(() => '---')])];
  return [...head, ...rows, '', ...notes.map((note, at) => `${at + 1}. ${note}`)].join('\n');
}

/** @returns {Promise<{results: Result[], ok: boolean}>} */
async function runSuite(only) {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-conformance-'));
  try {
    const file = join(folder, 'results.json');
    const files = only.map((subject) => `tests/vm/driver/${subject}.test.ts`);
    const options = ['--project', 'vm', '--reporter=default', '--reporter=./scripts/conformance-reporter.mjs'];
    const argv = [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...options, ...files];
    const ok = await must(argv, { cwd: root, env: { ...process.env, TEST_CONFORMANCE: file } }).then(
      () => true,
      () => false,
    );
    return { results: JSON.parse(await readFile(file, 'utf8')), ok };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function main() {
  const asked = parse(process.argv.slice(2));
  if (!asked) return;
  const { results, ok } = asked.run ? await runSuite(asked.only) : { results: [], ok: true };
  if (asked.save) await writeFile(asked.save, JSON.stringify(results));
  const others = await Promise.all(asked.also.map(async (file) => JSON.parse(await readFile(file, 'utf8'))));
  const all = [...results, ...others.flat()];
  console.log(`\n${table(all)}`);
  process.exitCode = ok && all.every(({ state }) => state !== 'failed') ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await Stop.guard(main);
