/** A promise that nobody owns fails where nobody is told of it: each way to hide one must be reported. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { capture } from './run.mjs';
import { voidPromises } from './void-promises.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const planted = join(root, 'scripts/fixtures/promises/planted.ts');

test('planted promises without an owner are found, and the one that has one is not', async () => {
  // Where no pattern of the configuration leaves it out.
  const folder = mkdtempSync(join(root, 'scripts/planted-'));
  try {
    cpSync(planted, join(folder, 'planted.ts'));
    const { stdout } = await capture(['node_modules/.bin/oxlint', '-f', 'json', folder], { cwd: root });
    const found = JSON.parse(stdout).diagnostics.filter(({ code }) => code.endsWith('-promises)'));
    expect(found.map(({ code, labels }) => `${labels[0].span.line} ${code}`).sort()).toEqual([
      '6 typescript(no-floating-promises)',
      '7 typescript(no-floating-promises)',
      '8 typescript(no-floating-promises)',
      '9 typescript(no-misused-promises)',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(voidPromises([planted]).map((line) => line.replace(/^.*planted.ts/, ''))).toEqual([
    ':7: void save()',
    ':11: void save()',
  ]);
});
