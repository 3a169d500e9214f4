/**
 * A tree of all kinds of files in the home of a CLI VM, made at its first boot by root inside of it, and measured at each boot: what
 * anything is, where, whose, how large, since when, and its content. The figure comes out on the serial console.
 */
import { readFile } from 'node:fs/promises';
import { homePaths } from '@airlock/contract/home';
import { guestPaths } from '@airlock/contract/guest';
import { until } from './poll.js';

const script = `tree=${guestPaths.home}/tree
if [ ! -d $tree ]; then
	mkdir -p $tree/deep/er $tree/shared && cd $tree || exit
	echo words >file
	ln file deep/hard-link
	ln -s ../file deep/link
	ln -s nowhere dangling
	mkfifo pipe
	printf end | dd of=sparse bs=1 seek=52428797 2>/dev/null
	head -c 300000 /dev/urandom >"odd name, 'quoted' \\\\ and long"
	echo mine >private
	echo run >program
	chown -R 1000:1000 .
	echo theirs >foreign
	chown 12345:54321 foreign
	chmod 0400 private
	chmod 4755 program
	chmod 3777 shared
	touch -h -d '2001-02-03 04:05:06.123456789' file dangling deep/link deep shared foreign
fi
cd $tree || exit
sum=$({
	find . -printf '%p %y %#m %U:%G %s %b %n %T@ %l\\n' | LC_ALL=C sort
	find . -type f -exec sha256sum {} + | LC_ALL=C sort
} | sha256sum)
echo "airlock-tree $(cat /proc/sys/kernel/random/boot_id) \${sum%% *} $(stat -c %i .)" >/dev/console
`;

/** Shell for the initrd's hook (`withHelper`): measures once the home is there. */
export const measureTree = `cat >/run/airlock-tree.sh <<'END'
${script}END
cat >/run/systemd/system/airlock-tree.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh /run/airlock-tree.sh
END
ln -s ../airlock-tree.service /run/systemd/system/airlock-configured.target.wants/airlock-tree.service
`;

export interface Measured {
  boot: string;
  sum: string;
  /** Of its top folder. */
  inode: number;
}

/** What the tree of the VM was measured as at its newest boot, if that is not `before`. */
export async function treeOf(home: string, vmId: string, before?: Measured): Promise<Measured> {
  const file = homePaths(home).vmFile(vmId, 'serialLog');
  const newest = async (): Promise<Measured | false> => {
    const text = await readFile(file, 'latin1').catch(() => '');
    const found = [...text.matchAll(/airlock-tree ([0-9a-f-]{36}) ([0-9a-f]{64}) (\d+)\b/g)].at(-1) ?? [];
    const [, boot = '', sum = '', inode = ''] = found;
    return boot !== '' && boot !== before?.boot && { boot, sum, inode: Number(inode) };
  };
  return until(`the tree in the home of ${vmId} to be measured`, newest, { timeoutMs: 60_000, intervalMs: 100 });
}
