/**
 * A driver is one folder and one line: that of QEMU under another name, added to a copy of this tree by exactly these, passes the
 * conformance suite's cases of boot and end. Prints what a driver touches.
 */
import { appendFile, cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { copyTree, type TreeCopy } from '../../support/tree-copy.js';

const name = 'planted';
const vmm = 'packages/runner/src/vmm';
const line = `export { qemuDriver as ${name} } from './${name}/driver.js';\n`;
/** Production files that a second driver would have had to change before drivers had a seam; listed in docs/adding-a-driver.md. */
const touchedBefore = 11;
const minutes = (n: number): number => n * 60_000;

interface Report {
  testResults: {
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

let tree: TreeCopy;
let added: string[];

beforeAll(async () => {
  tree = await copyTree('airlock-planted-', ['contract', 'runner', 'privileged-helper']);
  const folder = join(tree.path, vmm, name);
  await cp(join(tree.path, vmm, 'qemu'), folder, { recursive: true });
  const file = join(folder, 'arguments.ts');
  const source = await readFile(file, 'utf8');
  await writeFile(file, source.replace("driverName = 'qemu'", `driverName = '${name}'`));
  await appendFile(join(tree.path, vmm, 'registered.ts'), line);
  added = (await readdir(folder)).map((each) => `${vmm}/${name}/${each}`);
}, minutes(2));

afterAll(() => tree.remove());

it(
  'is all that the compiler and the import rules want',
  async () => {
    await tree.node('typescript/bin/tsc', '-b', 'packages/runner');
    const rules = ['--config', '.dependency-cruiser.cjs', 'packages/runner/src'];
    const { stdout } = await tree.node('dependency-cruiser/bin/dependency-cruise.mjs', ...rules);
    expect(stdout).toContain('no dependency violations found');
  },
  minutes(5),
);

it(
  'passes the conformance suite',
  async () => {
    // The other network is that of QEMU under its own name, which the suite tries beside this.
    Object.assign(process.env, { TEST_DRIVER: name, TEST_NETWORK: 'user' });
    const files = ['boot', 'end'].map((subject) => `tests/vm/driver/${subject}.test.ts`);
    const report = join(tree.path, 'report.json');
    try {
      const options = ['--project', 'vm', '--reporter=json', `--outputFile=${report}`];
      // Failures are read from the report.
      await tree.node('vitest/vitest.mjs', 'run', ...options, ...files).catch((error: { code?: number }) => {
        if (error.code !== 1) throw error;
      });
    } finally {
      for (const setting of ['TEST_DRIVER', 'TEST_NETWORK']) delete process.env[setting];
    }
    const { testResults } = JSON.parse(await readFile(report, 'utf8')) as Report;
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    expect(results.flatMap(({ failureMessages }) => failureMessages)).toEqual([]);
    expect(testResults.map(({ message }) => message).join('')).toBe('');
    const passed = results.filter(({ status }) => status === 'passed');
    expect(passed.length).toBeGreaterThanOrEqual(13);
    for (const { fullName } of passed) expect(fullName).toMatch(new RegExp(`^the driver '?${name}/user'? `));
  },
  minutes(10),
);

it('is no more than a folder and a line', async () => {
  const changed = await tree.changed(added);
  expect(changed.sort()).toEqual([`${vmm}/registered.ts`, ...added].sort());
  const now = changed.filter((file) => !added.includes(file));
  process.stdout.write(
    `\nFiles that a driver touches besides its own folder: ${touchedBefore} before, ${now.length} now: ${now.join(', ')}.\n`,
  );
});
