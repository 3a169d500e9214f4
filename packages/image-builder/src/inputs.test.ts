import { chmod, mkdtemp, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashInputs, readAgent, readTree, writeEntry, type InputEntry } from './inputs.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-inputs-'));
});
afterEach(() => rm(folder, { recursive: true }));

const file = (path: string, content = 'x', type: InputEntry['type'] = 'file'): InputEntry => ({
  path,
  type,
  content: Buffer.from(content),
});

describe('hashInputs', () => {
  const base = hashInputs({ a: 1 }, [file('p')]);

  it.each([
    ['the description', hashInputs({ a: 2 }, [file('p')])],
    ['a path', hashInputs({ a: 1 }, [file('q')])],
    ['a content', hashInputs({ a: 1 }, [file('p', 'y')])],
    ['a type', hashInputs({ a: 1 }, [file('p', 'x', 'program')])],
    ['the number of files', hashInputs({ a: 1 }, [file('p'), file('p')])],
  ])('changes with %s', (_what, hash) => expect(hash).not.toBe(base));

  it('is the same for the same inputs', () => expect(hashInputs({ a: 1 }, [file('p')])).toBe(base));
});

it('reads a tree in a fixed order and writes it back, with links and modes', async () => {
  await writeFile(join(folder, 'run'), 'echo');
  await chmod(join(folder, 'run'), 0o700);
  await writeFile(join(folder, 'note'), 'n');
  await symlink('/nowhere', join(folder, 'link'));
  const entries = await readTree(folder);
  expect(entries.map(({ path, type }) => [path, type])).toEqual([
    ['link', 'link'],
    ['note', 'file'],
    ['run', 'program'],
  ]);
  const copy = join(folder, 'copy/deep');
  for (const entry of entries) await writeEntry(copy, entry);
  expect(await readlink(join(copy, 'link'))).toBe('/nowhere');
  expect((await stat(join(copy, 'run'))).mode & 0o111).not.toBe(0);
  expect(await readTree(copy)).toEqual(entries);
});

it('says what to do when the agent has not been built', async () => {
  await expect(readAgent(join(folder, 'agent.cjs'))).rejects.toMatchObject({
    code: 'image_build_failed',
    hint: 'Run `npm run build` first.',
  });
});
