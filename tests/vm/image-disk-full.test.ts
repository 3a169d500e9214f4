/**
 * The disk that becomes full while an image is built: in a mount namespace of the test's own, the folder in question lies in a
 * tmpfs, which is made as small as its content once the build has come far enough.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { killGroup, run } from '@airlock/contract/process';
import { imageHome } from '../support/home.js';
import { until } from '../support/poll.js';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const builder = join(checkout, 'packages/image-builder/dist/main.js');
const mib = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log('Skipped: only root can mount a small disk.');

let home: string;
beforeAll(async () => {
  // Not below /var/tmp, which gets covered.
  home = await mkdtemp(join(tmpdir(), 'airlock-t-'));
  await mkdir(homePaths(home).images.folder);
  await cp(homePaths(imageHome()).aptCache, homePaths(home).aptCache, { recursive: true });
});
afterAll(() => rm(home, { recursive: true }));

/**
 * `$1`: this checkout, which goes on to be seen also below /var/tmp; `$2`: the images folder; the rest is the builder's command. Last
 * come the names of what is left.
 */
const inNamespace = `
checkout=$1; images=$2; shift 2
case $checkout in /var/tmp/*) mount --bind "$checkout" /mnt ;; esac
mount -t tmpfs -o size=9g,mode=1777 tmpfs /var/tmp
case $checkout in /var/tmp/*) mkdir -p "$checkout" && mount --move /mnt "$checkout" ;; esac
mount -t tmpfs -o size=4g tmpfs "$images"
before=$(ls -A /var/tmp)
"$@"; code=$?
echo "left: $(ls -A "$images") /var/tmp: $(ls -A /var/tmp | grep -vxF "$before")" >&2
exit $code`;

interface Outcome {
  code: number | null;
  /** Everything that the builder said. */
  said: string;
}

/** Builds; `whenFull` looks at what was said so far (nothing until all is mounted) and at what /var/tmp holds, and names a full folder. */
async function buildWhile(whenFull: (said: string, usedMib: number) => string | null): Promise<Outcome> {
  const command = [checkout, homePaths(home).images.folder, process.execPath, builder, 'build', '--no-gate'];
  const child = spawn('unshare', ['--mount', '--propagation=private', 'sh', '-c', inNamespace, 'sh', ...command], {
    env: { ...process.env, AIRLOCK_HOME: home },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const pid = child.pid ?? 0;
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const fillUp = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(said);
    const folder = whenFull(said, await usedMib(pid, '/var/tmp'));
    if (folder === null) return false;
    const size = `remount,size=${(await usedMib(pid, folder)) + 8}m`;
    // Refused when more was written since it was looked at than is left of room here.
    return run('nsenter', [`--mount=/proc/${pid}/ns/mnt`, 'mount', '-o', size, folder]).then(
      () => true,
      () => false,
    );
  };
  try {
    await until('the build to come so far that its disk gets full', fillUp, { timeoutMs: 300_000 });
    const [code] = await exited;
    return { code, said };
  } finally {
    if (child.exitCode === null) killGroup(pid);
  }
}

/** What the disk of `folder` holds, as a process sees it. */
async function usedMib(pid: number, folder: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(`/proc/${pid}/root${folder}`);
  return Math.ceil(((blocks - bfree) * bsize) / mib);
}

interface Case {
  what: string;
  whenFull: (said: string, usedMib: number) => string | null;
  says(): RegExp[];
}

const early: Case = {
  what: 'the work folder, which gets full while the root is made',
  whenFull: (said, used) => (said !== '' && used > 200 ? '/var/tmp' : null),
  says: () => [
    /^disk_full: The disk became full while the image was made \(\/var\/tmp: \d+ MiB free\)\.$/m,
    /^A build needs \d+ MiB in \/var\/tmp/m,
  ],
};
const late: Case = {
  what: 'the images folder, in which the file system does not fit',
  whenFull: (said) => (said.includes('Write the file system') ? homePaths(home).images.folder : null),
  says: () => [new RegExp(`^disk_full: .*\\(${homePaths(home).images.folder}: \\d+ MiB free\\)`, 'm')],
};
/** All of a build comes before the late one: `npm run soak -- --only image` has it. */
const cases = process.env['TEST_IMAGE'] === 'all' ? [early, late] : [early];

it.runIf(isRoot).each(cases)(
  'names $what, leaves nothing and makes nothing current',
  async ({ whenFull, says }) => {
    const { code, said } = await buildWhile(whenFull);
    for (const words of says()) expect(said).toMatch(words);
    expect(code).toBe(1);
    expect(said).toMatch(/^left: +\/var\/tmp: *$/m);
    expect(await readdir(homePaths(home).images.folder)).toEqual([]);
  },
  400_000,
);
