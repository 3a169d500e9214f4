/** A home on a disk of its own: found under the name that the runner gives it, mounted where nobody but root gets at it. */
import { guestPaths } from '@airlock/contract/guest';
import { buildFolder, type Check } from './shell.js';

const { homeDevice, homeDiskError, home, openHomeDisk, stateFolder } = guestPaths;

/** What init runs, what that needs, and that agent and script mean the same places. */
export function homeDiskChecks(): Check[] {
  return [
    {
      name: 'the first program opens the disk of the home',
      script: `sh -n ${openHomeDisk} && test -x ${openHomeDisk} && grep -F 'chroot /root ${openHomeDisk}' ${buildFolder}/init`,
    },
    ...Object.entries({ device: homeDevice, home, error: homeDiskError }).map(([name, path]) => ({
      name: `the disk of the home: its ${name} is that of the agent`,
      script: `grep -x '${name}=${path}' ${openHomeDisk}`,
    })),
    ...['e2fsck', 'resize2fs', 'mount'].map((program) => ({
      name: `the disk of the home: there is ${program}`,
      script: `PATH=/usr/sbin:/usr/bin; command -v ${program}`,
    })),
    {
      name: 'only root gets at where the disk of the home is mounted',
      script: `test -d "$(sed -n 's/^disk=//p' ${openHomeDisk})" && test "$(stat -c %u:%a ${stateFolder})" = 0:700 && grep '^disk=${stateFolder}/' ${openHomeDisk}`,
    },
  ];
}
