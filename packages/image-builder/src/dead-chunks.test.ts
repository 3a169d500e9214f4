import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { run } from '@airlock/contract/process';

const program = fileURLToPath(new URL('../chroot/dead-chunks.mjs', import.meta.url));

async function bundleOf(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-chunks-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

it('prints what nothing can load, and keeps whatever is named anywhere on the way', async () => {
  const folder = await bundleOf({
    'main.js': 'import "./chunk-A.js"; import("./" + "chunk-B.js");',
    'chunk-A.js': 'export * from "./chunk-C.js";',
    'chunk-B.js': 'import "./main.js";',
    'chunk-C.js': '',
    'chunk-X.js': 'import "./chunk-Y.js"; import "./chunk-A.js";',
    'chunk-Y.js': 'import "./chunk-X.js";',
    'data.json': '{}',
  });
  const { stdout } = await run(process.execPath, [program, folder, 'main.js']);
  expect(stdout.split('\n').filter(Boolean).toSorted()).toEqual(['chunk-X.js', 'chunk-Y.js']);
});

it('does not take a bundle without its entry for dead', async () => {
  const folder = await bundleOf({ 'other.js': '' });
  await expect(run(process.execPath, [program, folder, 'main.js'])).rejects.toMatchObject({
    details: { lastOutput: expect.stringContaining('has no main.js') },
  });
});
