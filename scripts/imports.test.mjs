/** The import rules of design.md are only worth something when a violation is really reported. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { capture } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

async function violations(folder) {
  const program = 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs';
  const argv = [process.execPath, program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', folder];
  const { stdout } = await capture(argv, { cwd: root });
  const { summary } = JSON.parse(stdout);
  expect(summary.totalCruised).toBeGreaterThan(0);
  return summary.violations.map(({ rule, from }) => `${rule.name}: ${from.split('/').at(-1)}`).sort();
}

test('each planted violation is reported, and the allowed import is not', async () => {
  expect(await violations('scripts/fixtures/imports')).toEqual([
    'a-table-has-one-owner: foreign-table.ts',
    'controller-http-imports-downward: unknown-noun.ts',
    'controller-pool-imports-downward: sideways.ts',
    'controller-store-imports-downward: upward.ts',
    'drivers-do-not-see-each-other: driver.ts',
    'known-nouns-only: unknown-noun.ts',
    'no-cycle: cycle-one.ts',
    'no-test-in-production: test-only.ts',
    'only-the-registry-sees-a-driver: boot.ts',
    'packages-meet-in-contract: run.ts',
    'vm-knows-no-path: path.ts',
  ]);
});
