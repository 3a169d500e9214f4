/** The initrd starts a VM by itself and finds its drives and its network. */
import { buildFolder, type Check } from './shell.js';

const listInitrd = `cpio --quiet --list <${buildFolder}/initrd.img`;

/** The first program, and the drivers that it loads. */
export function initrdChecks(): Check[] {
  return [
    {
      name: 'initrd starts by itself',
      script: `${listInitrd} | grep -x init && ${listInitrd} | grep -x bin/name-drives && ${listInitrd} | grep -x bin/busybox && ! ldd /usr/bin/busybox`,
    },
    ...['failover', 'net_failover', 'virtio_mmio', 'virtio_blk', 'virtio_net', 'virtio-rng', 'overlay'].map(
      (module) => ({
        name: `initrd has ${module}`,
        script: `${listInitrd} | grep -E '^modules/[0-9]+-${module}[.]ko$'`,
      }),
    ),
  ];
}
