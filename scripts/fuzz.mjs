/**
 * `npm run fuzz`: every boundary that takes something from outside gets generated inputs for as long as asked. Each is a file
 * `*.fuzz.test.ts` below packages/, which `npm test` runs with few inputs.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { must, readArgs, Stop } from './run.mjs';

const help = `Usage: npm run fuzz -- [--minutes N] [--only part of a boundary's name] [--seed N] [--path P]

Gives every boundary generated inputs, and prints how many it took.

  --minutes  for all of them together; 10 by default
  --only     boundaries whose name holds this
  --seed     another order of inputs; printed with each result
  --path     one input of a seed again, as a failure prints it
  --help     show this text
`;

/** @returns {{minutes: number, only: string | null, seed: number, path: string | null} | undefined} undefined: help was asked for */
export function parse(args) {
  const text = { type: 'string' };
  const asked = readArgs(args, { help, options: { minutes: text, only: text, seed: text, path: text } });
  if (!asked) return undefined;
  const { minutes = '10', only = null, seed, path = null } = asked.values;
  if (!/^(\d{1,4})(\.\d+)?$/.test(minutes) || Number(minutes) === 0)
    throw new Stop(`--minutes is "${minutes}"; a number above 0 was expected.`);
  if (seed !== undefined && !/^-?\d{1,10}$/.test(seed)) throw new Stop(`--seed is "${seed}"; a number was expected.`);
  if (path !== null && (!/^\d+(:\d+)*$/.test(path) || seed === undefined || only === null))
    throw new Stop('--path is numbers between colons, and goes with --seed and --only.');
  return {
    minutes: Number(minutes),
    only,
    seed: seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seed),
    path,
  };
}

/** The names that files give to their boundaries, as `fuzz('name'`. */
export function boundariesIn(text) {
  return [...text.matchAll(/\bfuzz\(\s*'([^']+)'/g)].map(([, name]) => name);
}

/** @returns {{file: string, name: string}[]} */
export function boundaries() {
  const below = (pack) => readdirSync(join(root, 'packages', pack, 'src'), { recursive: true });
  const files = readdirSync(join(root, 'packages')).flatMap((pack) =>
    below(pack)
      .filter((path) => path.endsWith('.fuzz.test.ts'))
      .map((path) => `packages/${pack}/src/${path}`),
  );
  return files
    .sort()
    .flatMap((file) => boundariesIn(readFileSync(join(root, file), 'utf8')).map((name) => ({ file, name })));
}

async function main() {
  const asked = parse(process.argv.slice(2));
  if (!asked) return;
  checkNode();
  await installNpmPackages();
  await buildIfStale();
  const chosen = boundaries().filter(({ name }) => asked.only === null || name.includes(asked.only));
  if (chosen.length === 0) throw new Stop(`No boundary has "${asked.only}" in its name.`);
  const folder = mkdtempSync(join(tmpdir(), 'al-fuzz-'));
  try {
    await runAll(chosen, asked, join(folder, 'report'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function runAll(chosen, { minutes, only, seed, path }, report) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const files = [...new Set(chosen.map(({ file }) => file))];
  const each = Math.round((minutes * 60_000) / chosen.length);
  console.log(`${chosen.length} boundaries, ${(each / 1000).toFixed(0)} s each, seed ${seed}`);
  const chosenOnly = only === null ? [] : ['-t', `fuzz: .*${only.replaceAll(/[^\w ]/g, '.')}`];
  const argv = [process.execPath, vitest, 'run', '--project', 'unit', '--reporter=verbose', ...chosenOnly, ...files];
  const env = {
    ...process.env,
    TEST_FUZZ_MS: String(each),
    TEST_FUZZ_SEED: String(seed),
    TEST_FUZZ_REPORT: report,
    ...(path !== null && { TEST_FUZZ_PATH: path }),
  };
  const code = await must([...argv, '--maxWorkers=1'], { cwd: root, env, okCodes: [0, 1] });
  console.log(`\n${table(existsSync(report) ? readFileSync(report, 'utf8') : '')}`);
  if (code !== 0)
    throw new Stop('A boundary did not hold.', 'Its input is above, with the seed and path to play it again.', 1);
}

/** A line a boundary: how many inputs, and how it ended. */
export function table(report) {
  const lines = report
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return lines
    .map(({ boundary, inputs, failed, seed, path, peakMib }) => {
      const peak = peakMib === undefined ? '' : `, memory +${peakMib.toFixed(0)} MiB at most`;
      const end = failed ? `failed: --seed ${seed} --path ${path}` : 'held';
      return `${boundary.padEnd(44)} ${String(inputs).padStart(9)} inputs, ${end}${peak}`;
    })
    .join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await Stop.guard(main);
