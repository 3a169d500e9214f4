/**
 * Whether the folders that Airlock writes to may be written to: by this process, and by the service, for which its unit makes everything
 * else read-only. The second is asked of systemd, because doctor itself runs outside of the unit.
 */
import { dirname, relative } from 'node:path';
import { userInfo } from 'node:os';
import { run } from '@airlock/contract/process';
import type { Settings } from '@airlock/contract/settings';
import { isSystemdCredential } from '@airlock/contract/vault-key-file';
import { dropIn, whyNotWritable } from '@airlock/contract/writable';

export interface FolderFacts {
  /** What this process may not write to. */
  refused: { about: 'Home' | 'Vault key'; found: string; todo: string }[];
  /** airlock.service, where it is installed for this user: the only folders that it may write to; null when all, or no such unit. */
  service: { writable: string[] } | null;
}

/** The folder of the vault key where it lies apart, by settings; null for one that nobody writes to. */
const keyFolder = ({ AIRLOCK_VAULT_KEY_FILE: file }: Settings): string | null =>
  file === undefined || isSystemdCredential(file) ? null : dirname(file);

export async function lookAtFolders(settings: Settings): Promise<FolderFacts> {
  const key = keyFolder(settings);
  const [home, ofKey, service] = await Promise.all([
    whyNotWritable(settings.AIRLOCK_HOME, 'AIRLOCK_HOME'),
    key === null ? null : whyNotWritable(key, 'The folder of AIRLOCK_VAULT_KEY_FILE'),
    findService(),
  ]);
  const refused = [
    ...(home ? [{ about: 'Home' as const, found: home.message, todo: home.hint }] : []),
    ...(ofKey ? [{ about: 'Vault key' as const, found: ofKey.message, todo: ofKey.hint }] : []),
  ];
  return { refused, service };
}

async function findService(): Promise<FolderFacts['service']> {
  const asked = ['User', 'ProtectSystem', 'ReadWritePaths', 'StateDirectory'];
  const args = ['show', 'airlock.service', ...asked.map((name) => `--property=${name}`)];
  return run('systemctl', args, { timeoutMs: 10_000 }).then(
    ({ stdout }) => readService(stdout, userInfo().username),
    () => null,
  );
}

/** What `systemctl show` says of a unit: null when it is not there, is another user's, or may write everywhere. */
export function readService(shown: string, user: string): FolderFacts['service'] {
  const said = new Map(shown.split('\n').map((line) => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)]));
  const words = (name: string): string[] => (said.get(name) ?? '').split(' ').filter((word) => word !== '');
  if (said.get('User') !== user || said.get('ProtectSystem') !== 'strict') return null;
  const state = words('StateDirectory').map((name) => `/var/lib/${name}`);
  return { writable: [...state, ...words('ReadWritePaths').map((path) => path.replace(/^[-+]+/, ''))] };
}

/** The folders of these settings that the service may not write to, with what to do about each. */
export function outsideOfService(
  service: FolderFacts['service'],
  settings: Settings,
): { found: string; todo: string }[] {
  if (service === null) return [];
  const isBelow = (path: string): boolean =>
    service.writable.some((folder) => !relative(folder, path).startsWith('..'));
  const folders = [
    ['AIRLOCK_HOME', settings.AIRLOCK_HOME],
    ['The folder of AIRLOCK_VAULT_KEY_FILE', keyFolder(settings)],
  ] as const;
  return folders.flatMap(([what, folder]) =>
    folder === null || isBelow(folder)
      ? []
      : [
          {
            found: `${what} is ${folder}, where airlock.service may not write (ReadWritePaths=)`,
            todo: `As root, ${dropIn(folder)}.`,
          },
        ],
  );
}
