/** How the guest opens the disk of its home, with stand-ins of the programs; tests/vm/home-disk.test.ts has the real ones. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { guestPaths } from '@airlock/contract/guest';
import { run } from '@airlock/contract/process';

const program = fileURLToPath(new URL(`../guest${guestPaths.openHomeDisk}`, import.meta.url));
const device = guestPaths.homeDevice;
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'airlock-open-'));
  onTestFinished(() => rm(root, { recursive: true }));
  await mkdir(join(root, 'bin'));
});

/** Runs it below `root`: what it called, what it left for the agent (null: nothing), what it printed. */
async function open(exits: Record<string, number>): Promise<{ calls: string[]; left: string | null; printed: string }> {
  for (const name of ['e2fsck', 'mount', 'resize2fs']) {
    const script = `#!/bin/sh\necho "${name} $*" >>${root}/calls\necho "${name} said it"\nexit ${exits[name] ?? 0}\n`;
    await writeFile(join(root, 'bin', name), script, { mode: 0o755 });
  }
  const text = await readFile(program, 'utf8');
  const here = text.replace('PATH=', `PATH=${root}/bin:`).replaceAll(/^(disk|error)=\//gm, `$1=${root}/`);
  const { stderr } = await run('sh', ['-s'], { input: here });
  const calls = (await readFile(join(root, 'calls'), 'utf8')).trim().replaceAll(root, '').split('\n');
  const error = join(root, guestPaths.homeDiskError);
  return { calls, left: await readFile(error, 'utf8').catch(() => null), printed: stderr };
}

const disk = `${guestPaths.stateFolder}/home`;
const [fsck, mounted, grown] = [
  `e2fsck -p ${device}`,
  `mount -t ext4 -o nosuid,nodev ${device} ${disk}`,
  `resize2fs ${device}`,
];
const bound = `mount --bind ${disk}${guestPaths.home} ${guestPaths.home}`;

it.each([0, 1, 2])('mounts, grows and binds it after a check that ends with %i', async (e2fsck) => {
  expect(await open({ e2fsck })).toEqual({ calls: [fsck, mounted, grown, bound], left: null, printed: '' });
  expect(await readdir(join(root, disk, 'home'))).toEqual(['airlock']);
});

it.each([
  ['that cannot be repaired', { e2fsck: 4 }, [fsck], /^e2fsck finds .* \(exit code 4\)[.]\ne2fsck said it\n$/],
  ['without a file system', { e2fsck: 8 }, [fsck], /exit code 8/],
  [
    'that cannot be mounted',
    { mount: 32 },
    [fsck, mounted],
    /^The file system .* cannot be mounted[.]\nmount said it\n$/,
  ],
])('leaves the reason for a disk %s', async (_which, exits, calls, left) => {
  expect(await open(exits)).toMatchObject({ calls, left: expect.stringMatching(left) as string });
});

it('leaves the reason for a disk with something else in the place of the home', async () => {
  await mkdir(join(root, disk), { recursive: true });
  await writeFile(join(root, disk, 'home'), '');
  const { calls, left } = await open({});
  expect(calls).toEqual([fsck, mounted, grown]);
  expect(left).toMatch(/^The disk has no folder home\/airlock that can be used[.]\nmkdir: .*\n$/);
});

it('uses a home that does not grow, and says so on the console', async () => {
  const { calls, left, printed } = await open({ resize2fs: 1 });
  expect([calls, left]).toEqual([[fsck, mounted, grown, bound], null]);
  expect(printed).toContain('did not grow: resize2fs said it');
});
