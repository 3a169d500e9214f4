import { describe, expect, it } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { providers } from '@airlock/contract/provider/registry';
import { clisOf } from './cli.js';
import { explain } from './clis.js';
import { projectClis } from './inputs.js';

describe('the lock file of the CLIs', () => {
  it('names each provider’s package, and asks for the very versions that it pins', async () => {
    const { clis, lock } = await projectClis();
    expect(clis.map(({ id }) => id)).toEqual(Object.keys(providers));
    const asked = lock.packages['']?.['dependencies'];
    expect(asked).toEqual(Object.fromEntries(clis.map((cli) => [cli.package, cli.version])));
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
