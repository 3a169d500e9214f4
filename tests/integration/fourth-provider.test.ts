/**
 * A provider is one file, one folder of recordings and one line of the registry: a made-up one is added to a copy of this tree by
 * exactly these, and everything that there is for providers knows it there. Prints what a provider touches.
 */
import { execFile } from 'node:child_process';
import { appendFile, cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { copyTree, type TreeCopy } from '../support/tree-copy.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const made = join(root, 'tests/fixtures/fourth-provider');
const id = 'acme_cli';
const providerFolder = 'packages/contract/src/provider';
const registryLine = `export { acmeCli as ${id} } from './acme-cli.js';\n`;
/** Places that named the providers one by one before they had a registry that everything follows. */
const touchedBefore = 16;

let copy: TreeCopy;
let tree: string;

interface Results {
  passed: string[];
  failed: string[];
}

/** The tests of these files whose names contain `pattern`, by name. */
async function tests(project: string, pattern: string, files: readonly string[]): Promise<Results> {
  const report = join(tree, `report-${project}.json`);
  const options = ['--project', project, '--reporter=json', `--outputFile=${report}`, '-t', pattern];
  // Failures are read from the report.
  await copy.node('vitest/vitest.mjs', 'run', ...options, ...files).catch((error: { code?: number }) => {
    if (error.code !== 1) throw error;
  });
  const { testResults } = JSON.parse(await readFile(report, 'utf8')) as {
    testResults: {
      message: string;
      assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
    }[];
  };
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = all.filter(({ status }) => status === 'failed');
  return {
    passed: all.filter(({ status }) => status === 'passed').map(({ fullName }) => fullName),
    failed: [
      ...failed.map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages.join('\n')}`),
      ...testResults.flatMap(({ message }) => (message === '' ? [] : [message])),
    ],
  };
}

beforeAll(async () => {
  copy = await copyTree('airlock-fourth-');
  tree = copy.path;
  await cp(join(made, 'acme-cli.ts'), join(tree, providerFolder, 'acme-cli.ts'));
  await cp(join(made, id), join(tree, providerFolder, 'fixtures', id), { recursive: true });
  await appendFile(join(tree, providerFolder, 'registered.ts'), registryLine);
});

afterAll(() => copy.remove());

it('is all that the compiler wants', async () => {
  await copy.node('typescript/bin/tsc', '-b').catch((error: { stdout?: string }) => expect(error.stdout).toBe(''));
}, 600_000);

it('is known to the registry’s tests, to the agent’s terminal, to the API, to the database and to the image', async () => {
  const { passed, failed } = await tests('unit', `${id}|providers? |known|former|names|accepts every state`, [
    `${providerFolder}/`,
    'packages/contract/src/guest.test.ts',
    'packages/guest-agent/src/login/screen.test.ts',
    'packages/controller/src/http/sessions.test.ts',
    'packages/controller/src/main-tables.test.ts',
    'packages/image-builder/src/cli.test.ts',
  ]);
  expect(failed).toEqual([]);
  for (const subject of ['the credential of', 'the login of', 'a prompt to', 'the CLI of']) {
    expect(passed.filter((name) => name.includes(`${subject} '${id}'`)).length, subject).toBeGreaterThan(1);
  }
  expect(passed.filter((name) => name.startsWith(`'${id}' '1.0-sign-in.txt'`)).length).toBe(6);
  expect(passed).toContain('the providers show what each is doing for this user');
  expect(passed.filter((name) => name.endsWith('accepts every state of the contract'))).not.toEqual([]);
}, 300_000);

it('signs in, is handed over, answers and goes with the real agent', async () => {
  await run(process.execPath, ['build.mjs'], { cwd: join(tree, 'packages/guest-agent') });
  const { passed, failed } = await tests('integration', id, ['tests/integration/providers.test.ts']);
  expect(failed).toEqual([]);
  expect(passed.length).toBe(6);
}, 300_000);

it('is named by the commands that name providers', async () => {
  const cli = join(tree, 'packages/cli/dist/main.js');
  const help = await run(process.execPath, [cli, 'auth', 'start', '--help'], { cwd: tree });
  expect(help.stdout).toContain(id);
  const builder = await run(process.execPath, [join(tree, 'packages/image-builder/dist/main.js'), '--help'], {
    cwd: tree,
  });
  expect(builder.stdout).toContain(id);
}, 60_000);

it('is no more than a file, a folder of recordings and a line', async () => {
  const recordings = await readdir(join(made, id));
  const added = [
    `${providerFolder}/acme-cli.ts`,
    ...recordings.map((name) => `${providerFolder}/fixtures/${id}/${name}`),
  ];
  expect((await copy.changed(added)).sort()).toEqual([`${providerFolder}/registered.ts`, ...added].sort());
  const lines = (await readFile(join(tree, providerFolder, 'registered.ts'), 'utf8')).replace(registryLine, '');
  expect(lines).toBe(await readFile(join(root, providerFolder, 'registered.ts'), 'utf8'));
  const places = ['its file', `its folder of recordings (${recordings.length} files)`, 'one line of registered.ts'];
  process.stdout.write(
    `\nPlaces that a provider touches: ${touchedBefore} before, ${places.length} now: ${places.join(', ')}. Generated: clis.lock.json.\n`,
  );
});
