/** `airlock image …` as a person runs it: what it prints, how it ends, and what it leaves. No image is built here. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { run, type RunResult } from '@airlock/contract/process';

const cli = fileURLToPath(new URL('../../packages/cli/dist/main.js', import.meta.url));
let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-t-'));
});
afterEach(() => rm(home, { recursive: true }));

function airlock(...args: string[]): Promise<RunResult> {
  return run(process.execPath, [cli, 'image', ...args], { env: { AIRLOCK_HOME: home }, okCodes: [0, 1, 2] });
}

describe('airlock image', () => {
  it.each([
    [['verify'], 1, 'image_missing: No golden image is current'],
    [['show', 'img_000000'], 1, 'image_missing: There is no image img_000000'],
    [['promote', '../../etc'], 2, 'invalid_request: "../../etc" is not the id of an image'],
    [['promote'], 2, 'invalid_request: Which image?'],
    [['rollback'], 1, 'image_missing: There is no earlier image to go back to'],
    [['prune', '--keep', 'all'], 2, 'invalid_request: --keep all: a number is expected'],
    [
      ['build', '--cli', 'codex@latest'],
      2,
      'invalid_request: --cli codex@latest: expected one of claude_code, codex, gemini_cli',
    ],
    [['build', '--refresh', '--defaults'], 2, 'invalid_request: Only one of'],
    [['build', '--browser', 'netscape'], 2, 'invalid_request: --browser netscape'],
    [['list', 'more'], 2, 'invalid_request: Unexpected argument "more"'],
  ])('%j ends with %i and says why', async (args, exitCode, message) => {
    const result = await airlock(...args);
    expect(result).toMatchObject({ exitCode, stdout: '', stderr: expect.stringContaining(message) });
  });

  it('lists nothing as an empty array', async () => {
    expect(await airlock('list', '--json')).toMatchObject({ exitCode: 0, stdout: '[]\n' });
  });

  it('names an image whose manifest is damaged', async () => {
    const folder = homePaths(home).images.image('img_000001');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'manifest.json'), '{');
    const { exitCode, stderr } = await airlock('verify', 'img_000001');
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('image_corrupt: ')]);
    expect((await airlock('list')).exitCode).toBe(0);
  });

  it('does not begin a build for which there is no room', async () => {
    const left = async (): Promise<string[]> =>
      (await readdir('/var/tmp')).filter((name) => name.startsWith('airlock-image-'));
    const before = await left();
    // A mount of this process alone; a user who is not root becomes root in a namespace of his own for it.
    const own = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
    const script = 'mount -t tmpfs -o size=16m none "$AIRLOCK_HOME" && exec "$@"';
    const { exitCode, stderr } = await run(
      'unshare',
      [...own, 'sh', '-c', script, 'sh', process.execPath, cli, 'image', 'build'],
      { env: { AIRLOCK_HOME: home }, okCodes: [0, 1, 2] },
    );
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('disk_full: There is not enough room')]);
    expect((await left()).filter((name) => !before.includes(name))).toEqual([]);
  });
});
