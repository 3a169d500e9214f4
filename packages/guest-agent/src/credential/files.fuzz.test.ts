/** Whatever lies in the place of credential files: the agent reads no more than their limit, hands out no more, and needs no memory for it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll } from 'vitest';
import { fuzz } from '@airlock/contract/fixtures/fuzz';
import { hostileJson, requireHarmless, startReader, type Reader } from '@airlock/contract/fixtures/hostile';
import { providers } from '@airlock/contract/provider/registry';
import { answerBytes } from '@airlock/contract/received';

const program = fileURLToPath(new URL('fixtures/reader.mjs', import.meta.url));
const paths = Object.values(providers).flatMap(({ login }) => login?.credentialFiles.map(({ path }) => path) ?? []);

let home: string;
let reader: Reader;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-files-'));
  reader = await startReader(program, [home]);
});
afterAll(async () => {
  await reader.end('agent: files');
  await rm(home, { recursive: true });
});

fuzz(
  'agent: files',
  fc.tuple(fc.constantFrom(...paths), hostileJson, fc.boolean()),
  async ([path, json, isMember]) => {
    const file = join(home, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(
      file,
      isMember ? `{"tokens":{"id_token":"i","access_token":"a","refresh_token":"r","x":${json}}}` : json,
    );
    requireHarmless(await reader.read(path), answerBytes.bundle * 3);
    await rm(file);
  },
  { runs: 8, timeoutMs: 60_000 },
);
