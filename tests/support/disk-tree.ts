/**
 * What lies below a folder of an ext4 file system that nobody has mounted, encrypted folders too: without the key names and content
 * cannot be read, but compared they can be, to the bit.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';

/** By the number of its inode, everything that the file system says of it, and the hash of its bytes. */
export type DiskTree = ReadonlyMap<number, string>;

/** In this order: what stands in the inode, its own bytes (a short link's target), attributes (how it is encrypted), content, names. */
const questions = ['stat', 'inode_dump -b', 'inode_dump -x', 'cat', 'ls -p'] as const;
/** Reading a file is not to count as a change of it. */
const ofReading = /^ *(atime|Inode checksum): .*\n/gm;
const isFolder = /^Inode: \d+ +Type: directory /m;

/** `top`: the path of a folder, or the number of its inode. */
export async function readDiskTree(disk: string, top: string | number): Promise<DiskTree> {
  const tree = new Map<number, string>();
  let next = [typeof top === 'number' ? top : await inodeOf(disk, top)];
  while (next.length > 0) {
    const answers = await debugfs(
      disk,
      next.flatMap((inode) => questions.map((question) => `${question} <${inode}>`)),
    );
    const below: number[] = [];
    for (const [at, inode] of next.entries()) {
      const [about = '', own = '', attributes = '', content = '', listed = ''] = answers.slice(questions.length * at);
      const hash = createHash('sha256').update(content, 'latin1').digest('hex');
      tree.set(inode, `${about.replace(ofReading, '')}${own}${attributes}SHA-256: ${hash}`);
      if (isFolder.test(about)) below.push(...entriesIn(listed));
    }
    next = [...new Set(below)].filter((inode) => !tree.has(inode));
  }
  return tree;
}

async function inodeOf(disk: string, path: string): Promise<number> {
  const [about = ''] = await debugfs(disk, [`stat ${path}`]);
  const inode = /^Inode: (\d+) /m.exec(about)?.[1];
  if (inode === undefined) throw new Error(`There is no ${path} on ${disk}.`);
  return Number(inode);
}

/** Lines of `/inode/mode/user/group/name/size/`; an encrypted name may hold any byte. */
const entriesIn = (listed: string): number[] =>
  [...listed.matchAll(/^\/(\d+)\/\d{6}\/\d+\/\d+\/(?!\.{1,2}\/\/)/gm)].map(([, inode]) => Number(inode));

/** What it answers to each command; each byte is a character. `-c`: without the bitmaps, which are large and not asked for. */
async function debugfs(disk: string, commands: readonly string[]): Promise<string[]> {
  const options = { encoding: 'latin1', maxBuffer: 256 * 1024 ** 2 } as const;
  const asking = promisify(execFile)('debugfs', ['-c', '-f', '-', disk], options);
  asking.child.stdin?.end(commands.map((command) => `${command}\n`).join(''));
  const { stdout } = await asking;
  const answers: string[] = [];
  // It repeats each command before it answers.
  let rest = stdout;
  for (const [at, command] of commands.entries()) {
    rest = rest.slice(rest.indexOf(`debugfs: ${command}\n`) + `debugfs: ${command}\n`.length);
    const following = commands[at + 1];
    answers.push(following === undefined ? rest : rest.slice(0, rest.indexOf(`debugfs: ${following}\n`)));
  }
  return answers;
}
