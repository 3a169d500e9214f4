import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { run } from '@airlock/contract/process';
import { providers } from '@airlock/contract/provider/registry';
import { checksFor } from './check/check.js';
import { clisOf, type Cli } from './cli.js';
import { leftOutScript } from './left-out.js';
import { exampleLock } from './fixtures/clis.js';

const clis = clisOf(exampleLock);

it.each(clis)('$id comes from its provider’s package, and is checked inside the root', (cli) => {
  const { program, image, version } = providers[cli.id];
  expect(cli).toMatchObject({ package: image.package, command: program, version: '1.2.3' });
  const checks = new Map(checksFor(clis, null).map(({ name, script }) => [name, script]));
  expect(checks.get(`which ${program}`)).toBe(`command -v ${program}`);
  const asked = checks.get(`${program} --version is 1.2.3`) ?? '';
  for (const word of [...version.argv, ...Object.keys(version.env ?? {})]) expect(asked).toContain(word);
});

it('refuses a lock file that lacks a provider’s package, and says what writes it', () => {
  expect(() => clisOf({ packages: {} })).toThrowError(
    expect.objectContaining({ code: 'image_build_failed', hint: expect.stringContaining('`npm run clis`') as string }),
  );
});

it('takes away what a provider names of its package, and nothing of another', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-left-out-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const files = ['@a/one/lib/voice/x', '@a/one/lib/x', '@a/two/lib/voice/x', '@a/two/bundle/dead.js'];
  for (const file of [...files, '@a/two/bundle/main.js']) {
    await mkdir(join(folder, file, '..'), { recursive: true });
    await writeFile(join(folder, file), file);
  }
  await writeFile(join(folder, 'dead-chunks.mjs'), `process.stdout.write('dead.js\\n')`);
  const [cli] = clis;
  const all: Cli[] = [
    { ...(cli as Cli), package: '@a/one', leftOut: ['*/lib/voice'] },
    { ...(cli as Cli), package: '@a/two', leftOut: [], bundle: { folder: 'bundle', entry: 'main.js' } },
  ];
  const script = leftOutScript(all).replaceAll('/usr/local/lib/node_modules', folder);
  await writeFile(join(folder, 'slim-clis.sh'), script);
  await run('sh', [join(folder, 'slim-clis.sh')]);
  const left = (await readdir(folder, { recursive: true })).filter((name) => /x$|dead\.js$|main\.js$/.test(name));
  expect(left.sort()).toEqual(['@a/one/lib/x', '@a/two/bundle/main.js', '@a/two/lib/voice/x']);
});
