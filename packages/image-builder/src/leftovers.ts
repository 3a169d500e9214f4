/**
 * What must not be in a finished file system, found with debugfs: no mount, no root rights. (The checks inside the root
 * run too early for this: mmdebstrap tidies up after them.)
 */
import { run } from '@airlock/contract/process';
import { searchPath } from './workspace.js';

/** Folders that must be empty. */
const emptyFolders = ['/tmp', '/var/tmp', '/var/log', '/var/cache/apt/archives', '/var/lib/apt/lists', '/home/airlock'];
/** Names that must not exist: identities and secrets of one VM, and what would tell of the host that built it. */
const absent = [
  ...['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key', '/var/lib/systemd/random-seed', '/root/.npmrc'],
  ...[
    '/var/lib/dbus/machine-id',
    '/etc/apt/sources.list',
    '/etc/apt/apt.conf.d/00airlock-host',
    '/root/.npm',
    '/root/.ssh',
  ],
];
const sources = '/etc/apt/sources.list.d';

/** One sentence for each thing found in the ext4 file system `rootfs`; empty when it is clean. @throws AppError command_failed */
export async function findLeftovers(rootfs: string, signal?: AbortSignal): Promise<string[]> {
  const ask = async (command: string): Promise<string> => {
    const env = { PATH: searchPath, DEBUGFS_PAGER: 'cat' };
    const { stdout, stderr } = await run('debugfs', ['-R', command, rootfs], { env, ...(signal && { signal }) });
    return `${stdout}\n${stderr}`;
  };
  const found: string[] = [];
  for (const folder of [...emptyFolders, sources]) {
    const names = namesOf(await ask(`ls -p ${folder}`));
    // apt's own folders are made again when they are missing.
    const extra = names.filter((name) => !['partial', 'auxfiles', 'lock'].includes(name));
    if (extra.length > 0) found.push(`${folder} holds ${extra.slice(0, 5).join(', ')}`);
  }
  for (const path of absent) if (!isMissing(await ask(`stat ${path}`))) found.push(`${path} is there`);
  // The first size is the file's; another one is its fragment's.
  if (/\bSize: (\d+)/.exec(await ask('stat /etc/machine-id'))?.[1] !== '0') found.push('/etc/machine-id is not empty');
  return found;
}

/** The names that `ls -p` lists: /inode/mode/uid/gid/name/size/, without the two dots. */
export function namesOf(listing: string): string[] {
  return listing.split('\n').flatMap((line) => {
    const [, inode, , , , name] = line.split('/');
    return inode === undefined || inode === '0' || name === undefined || ['.', '..'].includes(name) ? [] : [name];
  });
}

const isMissing = (answer: string): boolean => answer.includes('File not found');
