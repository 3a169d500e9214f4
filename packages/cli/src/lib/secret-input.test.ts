import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readSecret } from './secret-input.js';

it.each(['key', 'key\n', 'key\r\nmore', '\uFEFFkey\r\n'])(
  'takes the first line of a file, whoever wrote it: %j',
  async (text) => {
    const folder = await mkdtemp(join(tmpdir(), 'airlock-secret-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'key'), text);
    expect(await readSecret({ prompt: 'API key', file: join(folder, 'key') })).toBe('key');
  },
);
