/** What makes a Debian the test host: files that are added, services that stay off, and the one unit that runs a command. Pure. */
import { imageFiles } from '@airlock/contract/image';
import { binariesFolder } from '../firecracker-binaries.js';
import { labels } from './disk.js';

/** Where the checkout lies in the host. */
export const checkoutInHost = '/srv/airlock';
/** Where a command may leave files that are kept. */
export const resultsInHost = '/srv/results';
/** AIRLOCK_HOME there, which the images and the programs of Firecracker are part of. */
export const homeInHost = '/var/lib/airlock-tests';
/** The port that all words of the command come out of. */
export const outputPort = 'airlock.output';
/** As many times an ordinary host's: tests/support/patience.ts. */
const patienceInHost = 4;
export const exitCodeFile = 'exit-code';
export const commandFile = 'command';
export const runFile = 'run-command';
/** The seal of the golden image as this host has it: given, and given back, so that gigabytes are hashed in one run only. */
export const sealFile = 'image-seal';

const sealInHost = `${homeInHost}/images/current/${imageFiles.seal}`;

const programsInHost = `${homeInHost}/cache/tests/${binariesFolder().split('/').at(-1)}`;

/**
 * Given with each run on the disk that takes its results, so that Debian need not be made again for it. The port can be opened
 * once only, and programs open /dev/stderr again: so there is a pipe before it. What still holds the pipe when the command has
 * ended is not waited for long.
 */
export const runCommand = `set -eu
# Not before udev has come to the processor by itself, which it does late.
modprobe kvm_amd
udevadm settle --timeout=120
take() { mkdir -p "$2"; mount -o "$3" "LABEL=$1" "$2"; }
take ${labels.project} /run/project ro
take ${labels.images} ${homeInHost}/images rw
take ${labels.programs} ${programsInHost} ro
# Where the privileged helper's unit names them.
install -t /usr/local/bin ${programsInHost}/firecracker ${programsInHost}/jailer
test ! -e ${resultsInHost}/${sealFile} || cp ${resultsInHost}/${sealFile} ${sealInHost}
mkdir -p /var/over/upper /var/over/work ${checkoutInHost}
mount -t overlay -o lowerdir=/run/project,upperdir=/var/over/upper,workdir=/var/over/work overlay ${checkoutInHost}
cd ${checkoutInHost}
exec {port}>/dev/virtio-ports/${outputPort}
exec {words}> >(exec cat >&"$port")
words_pid=$!
echo "The host is up after $(cut -d ' ' -f 1 /proc/uptime) s." >&"$words"
code=0
env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH="$PWD/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \\
  AIRLOCK_HOME=${homeInHost} TMPDIR=/var/tmp TEST_RESULTS=${resultsInHost} TEST_PATIENCE=${patienceInHost} bash ${resultsInHost}/${commandFile} >&"$words" 2>&1 </dev/null || code=$?
exec {words}>&-
timeout 5 tail --pid "$words_pid" -f /dev/null || true
test ! -e ${sealInHost} || cp ${sealInHost} ${resultsInHost}/${sealFile}
echo "$code" >${resultsInHost}/${exitCodeFile}
cd /
umount --lazy ${resultsInHost}
sync
`;

/** Delegated, since commands make control groups of their own. */
const unit = `[Unit]
Description=The command of the test host
After=systemd-udev-settle.service local-fs.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
Delegate=yes
ExecStartPre=/usr/bin/mkdir -p ${resultsInHost}
ExecStartPre=/usr/bin/mount LABEL=${labels.results} ${resultsInHost}
ExecStart=/usr/bin/bash ${resultsInHost}/${runFile}
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
`;

/** By absolute path. */
export const files: Readonly<Record<string, string>> = {
  '/etc/systemd/system/run-command.service': unit,
  '/etc/hostname': 'kvm-host\n',
  '/etc/hosts': '127.0.0.1 localhost kvm-host\n::1 localhost\n',
  '/etc/resolv.conf': '',
};

/**
 * The console belongs to the log; nothing that Debian starts for its packages takes processor time or ports from a test, nor half a
 * minute of the boot for modules that nobody asks for.
 */
export const masked = [
  ...['modprobe@.service', 'ldconfig.service'],
  ...['serial-getty@ttyS0.service', 'getty.target', 'apt-daily.timer', 'apt-daily-upgrade.timer', 'man-db.timer'],
  ...['dpkg-db-backup.timer', 'e2scrub_all.timer', 'e2scrub_reap.service', 'fstrim.timer', 'logrotate.timer'],
  ...['postgresql.service', 'nginx.service', 'squid.service'],
];

/** Besides what Airlock and its tests need by scripts/packages.json. */
export const hostPackages = [
  ...['systemd', 'systemd-sysv', 'udev', 'kmod', 'procps', 'linux-image-amd64', 'initramfs-tools', 'zstd'],
  ...['nodejs', 'nftables', 'iproute2', 'curl', 'git'],
];
