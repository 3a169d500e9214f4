/**
 * `npm test`: what people and CI both run, also in a fresh clone. Last line: `N passed, N failed, N skipped` over everything;
 * each lint and type check counts as one.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

function add(counts) {
  for (const key of Object.keys(total)) total[key] += counts[key] ?? 0;
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

/** The image is shared by all tests: in $AIRLOCK_HOME or ~/.airlock. Every test has a home of its own beside it. */
const buildImage = () =>
  must([process.execPath, join(root, 'packages/image-builder/dist/main.js'), 'build'], { cwd: root });

async function runTests({ wanted, filters }) {
  const ready = await step('set-up', () => prepare(wanted), false);
  let image = false;
  for (const kind of ready ? wanted : []) {
    if (kind === 'lint') await lint();
    else if (!withImage.includes(kind)) await runProject(kind, filters);
    else {
      image ||= !failures.includes('golden image') && (await step('golden image', buildImage, false));
      if (image) await runProject(kind, filters);
      else console.log(`\n── ${kind} tests: not run, there is no golden image`);
    }
  }
}

function report() {
  if (failures.length > 0) console.log(`\nFailed:\n  ${failures.join('\n  ')}`);
  const { passed, failed, skipped } = total;
  if (failed > 0 || passed === 0) process.exitCode ||= 1;
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
}

await Stop.guard(async () => {
  const asked = parse(process.argv.slice(2));
  if (!asked) return;
  await runTests(asked);
  report();
});
