/** What must not be in an image: rights, secrets, identities, leftovers. */
import { guestPaths, guestUser } from '@airlock/contract/guest';
import type { Check } from './shell.js';

/**
 * Finds nothing in the whole root. Left out: /dev, which is the host's while the root is made, and the packages, which are its
 * builder's files until they are taken away.
 */
const nowhere = (name: string, test: string): Check => ({
  name,
  script: String.raw`! find / -xdev \( -path /dev -o -path /var/cache/apt/archives \) -prune -o \( ${test} \) -print | grep .`,
  walks: true,
});

/** Those that walk go through the whole root. */
export function tidinessChecks(): Check[] {
  return [
    {
      name: 'home is empty and the user’s',
      script: `test -z "$(ls -A ${guestPaths.home})" && test "$(stat -c %u:%g:%a ${guestPaths.home})" = ${guestUser.uid}:${guestUser.gid}:700`,
    },
    { name: 'machine-id is not set', script: 'test -f /etc/machine-id && test ! -s /etc/machine-id' },
    { name: 'no random seed, no SSH keys', script: '! ls /var/lib/systemd/random-seed /etc/ssh/ssh_host_* /root/.ssh' },
    { name: 'no remote login, no cron', script: '! command -v sshd && ! command -v cron' },
    nowhere('no setuid or setgid program', '-type f -perm /6000'),
    nowhere('only sticky folders are open to all', '-type f -perm -0002 -o -type d -perm -0002 ! -perm -1000'),
    nowhere('everything has an owner', '-nouser -o -nogroup'),
    { name: 'nobody has a password', script: `! grep -v '^[^:]*:[*!]' /etc/shadow` },
    {
      name: 'what root runs only root may change',
      script: String.raw`! find /usr/lib/airlock /usr/lib/systemd/system /etc/systemd \( ! -user root -o -type f -perm /022 \) | grep .`,
    },
    {
      name: 'no CLI can be replaced by a newer version of itself',
      script: '! find /usr/local/bin /usr/local/lib/node_modules ! -type l \\( ! -user root -o -perm /022 \\) | grep .',
    },
    {
      name: 'no private keys and no passwords in addresses',
      script: `! grep -rIlE -e '-----BEGIN [A-Z ]*PRIVATE KEY' -e '://[^/@ ]+:[^/@ ]+@' /etc /root /home /var/lib/dpkg/info`,
    },
    nowhere('no leftover caches of npm or Python', '-name .npm -o -name _cacache -o -name __pycache__ -o -name .cache'),
    { name: 'logs and temporary folders are empty', script: `! find /var/log /var/tmp -mindepth 1 | grep .` },
  ];
}
