import { mkdir, mkdtemp, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { providers } from '@airlock/contract/provider/registry';
import { clisOf, npmSpec, type Cli } from './cli.js';
import { explain, finishCli } from './clis.js';
import { exampleLock } from './fixtures/clis.js';
import { projectClis } from './inputs.js';

describe('the lock file of the CLIs', () => {
  it('names each provider’s package, and asks for the very versions that it pins', async () => {
    const { clis, lock } = await projectClis();
    expect(clis.map(({ id }) => id)).toEqual(Object.keys(providers));
    const asked = lock.packages['']?.['dependencies'];
    expect(asked).toEqual(Object.fromEntries(clis.map((cli) => [cli.package, npmSpec(cli)])));
    const claude = clis.find(({ id }) => id === 'claude_code')!;
    expect(asked).toMatchObject({ [claude.package]: `npm:@anthropic-ai/claude-code-linux-x64@${claude.version}` });
  });

  it('has a checksum for every package, and no address of a registry', async () => {
    const { lock } = await projectClis();
    const pinned = Object.entries(lock.packages).filter(([path]) => path !== '');
    expect(pinned.length).toBeGreaterThan(Object.keys(providers).length);
    for (const [path, entry] of pinned) {
      expect(entry, path).toMatchObject({ integrity: expect.stringMatching(/^sha512-/), version: expect.any(String) });
      expect(entry, path).not.toHaveProperty('resolved');
    }
  });

  it('is refused when it does not name a CLI', () => {
    expect(() => clisOf({ packages: {} })).toThrowError(/says nothing of @/);
  });

  it('is refused when it pins the wrapper of a program, which is not installed', async () => {
    const { lock } = await projectClis();
    const path = 'node_modules/@anthropic-ai/claude-code';
    const { name: _program, ...wrapper } = lock.packages[path] ?? {};
    expect(() => clisOf({ packages: { ...lock.packages, [path]: wrapper } })).toThrowError(
      /says nothing of @anthropic-ai\/claude-code-linux-x64/,
    );
  });
});

describe('the program of a CLI', () => {
  const { native: _none, ...first } = clisOf(exampleLock)[0]!;
  const base = { ...first, package: '@a/cli', command: 'cli' };
  const native = { package: '@a/cli-linux-x64', file: 'bin/program' };

  async function finish(cli: object, files: Record<string, string>): Promise<string> {
    const prefix = await mkdtemp(join(tmpdir(), 'airlock-cli-'));
    onTestFinished(() => rm(prefix, { recursive: true }));
    for (const [path, text] of Object.entries(files)) {
      const file = join(prefix, 'lib/node_modules/@a/cli', path);
      await mkdir(join(file, '..'), { recursive: true });
      await writeFile(file, text, { mode: 0o644 });
    }
    await finishCli(prefix, { ...base, ...cli } as Cli);
    expect((await stat(join(prefix, 'bin/cli'))).mode & 0o777).toBe(0o755);
    return readlink(join(prefix, 'bin/cli'));
  }

  it.each([
    ['the one that its package names', {}, { 'package.json': '{"bin":{"cli":"x.js"}}', 'x.js': '' }, 'x.js'],
    ['the one program of its package', {}, { 'package.json': '{"bin":"y.js"}', 'y.js': '' }, 'y.js'],
    [
      'the native one, of a package that names none',
      { native },
      { 'package.json': '{}', 'bin/program': '' },
      'bin/program',
    ],
  ])('is %s, by its own name on PATH', async (_what, cli, files, file) => {
    expect(await finish(cli, files)).toBe(`../lib/node_modules/@a/cli/${file}`);
  });

  it.each([
    ['is not named', {}, { 'package.json': '{"bin":{"other":"x.js"}}' }, '@a/cli@1.2.3 has no program named cli'],
    ['is named and not there', {}, { 'package.json': '{"bin":"x.js"}' }, '@a/cli@1.2.3 has no program named cli'],
    ['has moved', { native }, { 'package.json': '{}' }, '@a/cli-linux-x64@1.2.3 has no program named bin/program'],
  ])('is missed at once when it %s', async (_what, cli, files, message) => {
    await expect(finish(cli, files)).rejects.toThrowError(message);
  });
});

describe('what npm could not do', async () => {
  const { clis } = await projectClis();
  const failed = (lastOutput: string): AppError =>
    new AppError('command_failed', 'npm ended with exit code 1', { details: { lastOutput } });

  it.each([
    ['a version', 'npm error code ETARGET\nnpm error notarget No matching version found for @openai/codex@0.169.0.'],
    ['a package', 'npm error code E404\nnpm error 404 Not Found - GET https://r.example/@openai%2fcodex - Not found'],
    ['a package, unescaped', "npm error code E404\nnpm error 404  '@openai/codex@0.169.0' is not in this registry."],
  ])('says that there is no such thing: %s', (_what, output) => {
    expect(explain(failed(output), clis)).toMatchObject({
      code: 'image_build_failed',
      message: "npm's registry has no @openai/codex@0.169.0.",
      hint: '`npm view @openai/codex versions` lists those that it has.',
    });
  });

  it('is shown as npm said it otherwise', () => {
    expect(explain(failed('npm error code ECONNREFUSED'), clis)).toMatchObject({
      code: 'image_build_failed',
      details: { lastOutput: 'npm error code ECONNREFUSED' },
    });
  });
});
