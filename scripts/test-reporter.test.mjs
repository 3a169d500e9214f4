/** The counts of `npm test` on a run that has one of everything: a real vitest in a fixture folder. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { capture } from './run.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

test('passed, failed, skipped with a reason, a file that cannot be loaded, and the time of each', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'al-count-'));
  try {
    const file = join(folder, 'counts.json');
    const root = at('fixtures/counting');
    const reporter = `--reporter=${at('test-reporter.mjs')}`;
    const argv = [
      process.execPath,
      at('../node_modules/vitest/vitest.mjs'),
      'run',
      '--root',
      root,
      '--config',
      join(root, 'vitest.config.mjs'),
      reporter,
    ];
    const { code, stdout } = await capture(argv, { env: { ...process.env, TEST_COUNTS: file, NO_COLOR: '1' } });
    expect(code).toBe(1);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      ...{ passed: 1, failed: 2, skipped: 2 },
      failures: ['broken.test.mjs: this file cannot be loaded', 'mixed.test.mjs > fails'],
      files: ['broken.test.mjs', 'mixed.test.mjs'].map((name) => ({ name, ms: expect.any(Number) })),
    });
    expect(stdout).toContain('is skipped while it runs: no such device here');
    expect(stdout).toContain('is skipped: no reason given');
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
