/**
 * `npm test`: what people and CI both run, also in a fresh clone. Last line: `N passed, N failed, N skipped` over everything;
 * each lint and type check counts as one.
 * The golden image is built while those run that do not need it.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { installHostPackages } from './host-packages.mjs';
import { must, readArgs, Stop } from './run.mjs';

const kinds = ['lint', 'unit', 'integration', 'vm', 'e2e'];
/** These start VMs, and need the golden image. */
const withImage = ['vm', 'e2e'];

const help = `Usage: npm test -- [--only lint,unit,integration,vm,e2e] [part of a file name …]

Installs what tests need, builds the golden image if none is current, and runs every test, from fast to slow.

  --only   run these kinds only
  --help   show this text

A test that cannot run here is skipped and says why. TEST_SCREENSHOTS=<folder> keeps pictures of the end-to-end tests.
`;

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
/** Name and milliseconds of each file of tests. */
const files = [];
const slowest = 10;
const started = Date.now();

function add(counts) {
  for (const key of Object.keys(total)) total[key] += counts[key] ?? 0;
  files.push(...(counts.files ?? []));
}

/** Does one thing that counts as one test; a Stop is its failure. */
async function step(name, work, countSuccess = true) {
  console.log(`\n── ${name}`);
  const started = Date.now();
  try {
    await work();
    if (countSuccess) total.passed += 1;
    console.log(`── ${name}: ok, ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return true;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    total.failed += 1;
    failures.push(name);
    console.log(`── ${name}: FAILED: ${error.message}${error.hint ? `\n${error.hint}` : ''}`);
    return false;
  }
}

async function prepare(wanted) {
  checkNode();
  const needsHost = wanted.some((kind) => kind !== 'lint' && kind !== 'unit');
  if (needsHost) await installHostPackages(['run', 'test']);
  await installNpmPackages();
  await buildIfStale();
}

/** The commands of package.json's `lint`, each as a test of its own, and the type check of everything. */
async function lint() {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const env = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` };
  for (const command of [scripts.typecheck, ...scripts.lint.split('&&')].map((text) => text.trim())) {
    await step(command, () => must(['sh', '-c', command], { cwd: root, env }));
  }
}

/** One vitest project. Counts come from the reporter; without them the run itself counts as failed. */
async function runProject(project, filters) {
  const folder = mkdtempSync(join(tmpdir(), 'al-test-'));
  const file = join(folder, 'counts.json');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = [project === 'unit' ? 'default' : 'verbose', './scripts/test-reporter.mjs'];
  const options = ['run', '--project', project, '--passWithNoTests', ...reporters.map((name) => `--reporter=${name}`)];
  const argv = [process.execPath, vitest, ...options, ...filters];
  console.log(`\n── ${project} tests`);
  try {
    const code = await must(argv, { cwd: root, env: { ...process.env, TEST_COUNTS: file }, okCodes: [0, 1] });
    const counts = readCounts(file);
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    add(counts);
    if (counts.failed > 0) failures.push(`${project} tests`, ...(counts.failures ?? []).map((name) => `  ${name}`));
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    total.failed += 1;
    failures.push(`${project} tests: ${error.message}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return { failed: 0 };
    throw error;
  }
}

function parse(args) {
  const asked = readArgs(args, { help, options: { only: { type: 'string' } }, words: true });
  if (!asked) return undefined;
  const { values, positionals } = asked;
  const only = values.only?.split(',') ?? kinds;
  const unknown = only.filter((kind) => !kinds.includes(kind));
  if (unknown.length > 0)
    throw new Stop(`There is no ${unknown.join(', ')} among the tests: choose of ${kinds.join(', ')}.`);
  return { wanted: kinds.filter((kind) => only.includes(kind)), filters: positionals };
}

/**
 * The image is shared by all tests: in $AIRLOCK_HOME or ~/.airlock. Every test has a home of its own beside it. Begins to build it;
 * what is answered waits for that, shows the build's own words, and fails as the build did.
 */
function beginImage() {
  const folder = mkdtempSync(join(tmpdir(), 'al-image-log-'));
  const log = join(folder, 'log');
  const out = openSync(log, 'w');
  const argv = [process.execPath, join(root, 'packages/image-builder/dist/main.js'), 'build'];
  console.log('\n── golden image: looked at, and built if it is not current, beside what follows');
  const built = must(argv, { cwd: root, stdio: ['ignore', out, out] }).then(
    () => undefined,
    (error) => error,
  );
  return async () => {
    const failure = await built;
    closeSync(out);
    process.stdout.write(readFileSync(log, 'utf8'));
    rmSync(folder, { recursive: true });
    if (failure) throw failure;
  };
}

async function runTests({ wanted, filters }) {
  if (!(await step('set-up', () => prepare(wanted), false))) return;
  const needsImage = wanted.some((kind) => withImage.includes(kind));
  const imageBuilt = needsImage && beginImage();
  let image;
  for (const kind of wanted) {
    if (imageBuilt && withImage.includes(kind)) image ??= await step('golden image', imageBuilt, false);
    if (kind === 'lint') await lint();
    else if (!withImage.includes(kind) || image) await runProject(kind, filters);
    else console.log(`\n── ${kind} tests: not run, there is no golden image`);
  }
}

function tellSlowest() {
  const found = files.toSorted((a, b) => b.ms - a.ms).slice(0, slowest);
  if (found.length === 0) return;
  console.log(`\nThe slowest files, in seconds:`);
  for (const { name, ms } of found) console.log(`${(ms / 1000).toFixed(1).padStart(8)}  ${name}`);
}

function report() {
  tellSlowest();
  if (failures.length > 0) console.log(`\nFailed:\n  ${failures.join('\n  ')}`);
  const { passed, failed, skipped } = total;
  console.log(`\nAll of it took ${((Date.now() - started) / 60_000).toFixed(1)} minutes.`);
  if (failed > 0 || passed === 0) process.exitCode ||= 1;
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
}

await Stop.guard(async () => {
  const asked = parse(process.argv.slice(2));
  if (!asked) return;
  await runTests(asked);
  report();
});
