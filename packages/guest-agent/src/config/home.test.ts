import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addProgram, temporaryFolder, testSettings } from '../fixtures/config.js';
import { createProcesses } from '../processes.js';
import { openHome } from './home.js';

const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const key = Buffer.alloc(64, 9);
const keyId = '0123456789abcdef0123456789abcdef';

/** Notes its arguments and input, and remembers the policy that was set. */
const fscryptctl = `
  echo "$*" >> "$0.calls"
  case "$1" in
    add_key) cat > "$0.key"; echo ${keyId};;
    get_policy) [ -e "$0.policy" ] || { echo 'not encrypted' >&2; exit 1; }; cat "$0.policy";;
    set_policy) echo "Master key identifier: $2" > "$0.policy";;
  esac`;

async function bench(): Promise<{ folder: string; open: (withKey: Buffer | null) => Promise<void> }> {
  const folder = await temporaryFolder();
  const settings = await testSettings(folder);
  await addProgram(folder, 'fscryptctl', fscryptctl);
  return { folder, open: (withKey) => openHome(settings, createProcesses(), self, withKey) };
}

describe('openHome', () => {
  it('fills a new home from the skeleton once', async () => {
    const { folder, open } = await bench();
    await rm(join(folder, 'home'), { recursive: true });
    await open(null);
    expect(await readdir(join(folder, 'home'))).toEqual(['.profile']);
    expect((await stat(join(folder, 'home'))).mode & 0o777).toBe(0o700);
    await writeFile(join(folder, 'home/.profile'), 'mine');
    await open(null);
    expect(await readFile(join(folder, 'home/.profile'), 'utf8')).toBe('mine');
  });

  it.each([
    ['a pipe', 'mkfifo "$3/.profile"'],
    ['a link to one', 'mkfifo "$3/pipe"; ln -s pipe "$3/.profile"'],
  ])('waits for nothing that the user has put in the place of a file: %s', async (_what, script) => {
    const { folder, open } = await bench();
    await addProgram(folder, 'cp', script);
    await expect(open(null)).rejects.toThrow(/EINVAL|ELOOP/);
  });

  it('encrypts an empty home, with the key through standard input only', async () => {
    const { folder, open } = await bench();
    await open(key);
    expect(await readFile(join(folder, 'bin/fscryptctl.key'))).toEqual(key);
    const calls = (await readFile(join(folder, 'bin/fscryptctl.calls'), 'utf8')).trim().split('\n');
    expect(calls.at(-1)).toBe(`set_policy ${keyId} ${join(folder, 'home')}`);
    expect(calls[0]).toMatch(/^add_key \//);
    expect(await readdir(join(folder, 'home'))).toEqual(['.profile']);
  });

  it('unlocks it later without setting a policy again', async () => {
    const { folder, open } = await bench();
    await open(key);
    await rm(join(folder, 'bin/fscryptctl.calls'));
    await open(key);
    expect(await readFile(join(folder, 'bin/fscryptctl.calls'), 'utf8')).not.toContain('set_policy');
  });

  it('refuses a home that another key encrypts', async () => {
    const { folder, open } = await bench();
    await writeFile(join(folder, 'bin/fscryptctl.policy'), 'Master key identifier: ffff');
    await expect(open(key)).rejects.toMatchObject({
      code: 'home_unusable',
      message: expect.stringContaining('another key') as string,
      hint: expect.stringContaining('vm restore') as string,
    });
  });

  it('refuses to encrypt a home that holds something', async () => {
    const { folder, open } = await bench();
    await mkdir(join(folder, 'home/work'));
    await expect(open(key)).rejects.toMatchObject({
      code: 'home_unusable',
      message: expect.stringContaining('1 entries in the clear') as string,
    });
    expect(await readdir(join(folder, 'home'))).toEqual(['work']);
  });

  it.each([
    ['what was in the way', 'It is damaged.\ne2fsck: bad magic\n', 'It is damaged.', 'e2fsck: bad magic'],
    ['nothing was tried', null, 'Nothing was mounted', ''],
  ])('touches nothing when the home is not on its disk, and says why: %s', async (_what, left, message, lastOutput) => {
    const { folder, open } = await bench();
    await writeFile(join(folder, 'home-disk'), '');
    if (left !== null) await writeFile(join(folder, 'run/home-disk.error'), left);
    await expect(open(key)).rejects.toMatchObject({
      code: 'home_unusable',
      message: expect.stringContaining(message) as string,
      details: { lastOutput },
    });
    expect(await readdir(join(folder, 'home'))).toEqual([]);
    await expect(stat(join(folder, 'bin/fscryptctl.calls'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('of a browser VM looks at no disk', async () => {
    const { folder, open } = await bench();
    await writeFile(join(folder, 'home-disk'), '');
    await open(null);
    expect(await readdir(join(folder, 'home'))).toEqual(['.profile']);
  });

  it('says that there is no room for it on its disk', async () => {
    const { folder, open } = await bench();
    await writeFile(join(folder, 'home-disk'), '');
    await writeFile(join(folder, 'run/home-disk.error'), 'There is no folder.\nmkdir: No space left on device\n');
    await expect(open(key)).rejects.toMatchObject({
      code: 'home_unusable',
      hint: expect.stringContaining('AIRLOCK_HOME_DISK_GIB') as string,
    });
  });

  it.each([
    [
      'its policy',
      'fscryptctl',
      `[ "$1" = set_policy ] && { echo 'No space left on device' >&2; exit 1; }${fscryptctl}`,
    ],
    ['its first files', 'cp', `echo 'cp: cannot create directory: No space left on device' >&2; exit 1`],
  ])('says that there is no room for %s', async (_what, program, script) => {
    const { folder, open } = await bench();
    await addProgram(folder, program, script);
    await expect(open(key)).rejects.toMatchObject({
      code: 'home_unusable',
      message: expect.stringContaining('no room left') as string,
      hint: expect.stringContaining('AIRLOCK_HOME_DISK_GIB') as string,
    });
  });

  it('says what fscryptctl said when it fails', async () => {
    const { folder, open } = await bench();
    await addProgram(folder, 'fscryptctl', 'echo "encryption not supported" >&2; exit 1');
    await expect(open(key)).rejects.toThrow(/fscryptctl failed \(exit code 1\): encryption not supported/);
  });
});
