/**
 * The gate's own hand inside its VM. It comes with the gate's initrd and lives in /run: no image and no other VM has it.
 * The gate writes an order into the unused slot of the config drive, and the helper reports on the serial console. It kills
 * what is named there with signal 9: `airlock-gate N killed PID`, and `airlock-gate N back PID` once it runs again. Or it
 * answers a question: `airlock-gate N says TEXT` for each line, and `airlock-gate N said COUNT` at the end.
 */
import { guestPaths } from '@airlock/contract/guest';

/** What is killed: a name, and the beginning of its command line as pgrep takes it (a dot stands for a blank). */
export const parts = {
  x11vnc: '^/usr/bin/x11vnc',
  xvfb: '^/usr/bin/Xvfb',
  window_manager: '^/usr/bin/openbox',
  terminal: '^/usr/bin/xterm',
  // Debian's Chromium, or Google Chrome as chrome.sh starts it.
  browser: '^/(usr/lib/chromium/chromium|opt/google/chrome/chrome.--class=chromium.*).--no-first-run',
  agent: `^/usr/bin/node.*${guestPaths.agentBundle}`,
} as const;
export type Part = keyof typeof parts;

/** Where the helper finds what was written above the read-only root. */
const upper = '/run/airlock-gate-upper';

/** What can be asked, as shell whose output is the answer. */
const questions = {
  /** Everything that the root file system of the image does not have so: files, links, removed names, folders without either. */
  changes: String.raw`cd ${upper} && find . -mindepth 1 \( ! -type d -o -empty \) -printf '/%P\n' | sort`,
  /** How long the boot took, then the units, slowest first. */
  times: 'systemd-analyze time; systemd-analyze blame | head -n 25',
} as const;
export type Question = keyof typeof questions;

const orderBytes = 4096;

/** What is written at the drive's beginning. Each order's number is greater than the last one's. */
export function orderOf(number: number, what: Part | Question): Buffer {
  const bytes = Buffer.alloc(orderBytes);
  bytes.write(`${number} ${what in questions ? what : parts[what as Part]}\n`, 'latin1');
  return bytes;
}

/** The lines of an answer, or null while it is not there as a whole. */
export function answerOf(console: string, number: number): string[] | null {
  const said = new RegExp(`airlock-gate ${number} said (\\d+)\\b`).exec(console)?.[1];
  const lines = [...console.matchAll(new RegExp(`airlock-gate ${number} says (.*?)\\r?\\n`, 'g'))].map(
    (match) => match[1] ?? '',
  );
  return said !== undefined && lines.length === Number(said) ? lines : null;
}

/** The process that the helper reports, or null while it has not. */
export function reportOf(console: string, number: number, what: 'killed' | 'back'): number | null {
  const pid = new RegExp(`airlock-gate ${number} ${what} (\\d+)\\b`).exec(console)?.[1];
  return pid === undefined ? null : Number(pid);
}

const script = `#!/bin/sh
done=0
find_it() { pgrep -o -f "$1"; }
answer() {
	count=0
	while IFS= read -r line; do
		count=$((count + 1))
		echo "airlock-gate $1 says $line" >/dev/console
	done
	echo "airlock-gate $1 said $count" >/dev/console
}
while sleep 0.3; do
	set -- $(dd if=${guestPaths.configDevice} iflag=direct bs=${orderBytes} count=1 2>/dev/null | tr -d '\\000')
	[ "\${1:-0}" -gt "$done" ] || continue
	case $2 in
${Object.entries(questions)
  .map(([name, shell]) => `\t${name})\n\t\t(${shell}) 2>&1 | answer "$1"\n\t\tdone=$1\n\t\tcontinue\n\t\t;;`)
  .join('\n')}
	esac
	pid=$(find_it "$2") && kill -9 "$pid" || continue
	echo "airlock-gate $1 killed $pid" >/dev/console
	until now=$(find_it "$2") && [ "$now" != "$pid" ]; do sleep 0.2; done
	echo "airlock-gate $1 back $now" >/dev/console
	done=$1
done
`;

const unit = `[Unit]
Description=Airlock boot gate
DefaultDependencies=no
[Service]
ExecStart=/bin/sh /run/airlock-gate.sh
`;

const heredoc = (path: string, text: string): string => `cat >${path} <<'END'\n${text}END\n`;

/** Sourced by the initrd's init when it is there; /run is already the one that the system will have. */
const hook = [
  `mkdir -p /run/systemd/system/airlock-configured.target.wants ${upper}`,
  `mount -o bind /overlay/upper ${upper}`,
  heredoc('/run/airlock-gate.sh', script),
  heredoc('/run/systemd/system/airlock-gate.service', unit),
  'ln -s ../airlock-gate.service /run/systemd/system/airlock-configured.target.wants/airlock-gate.service',
  '',
].join('\n');

/** One file as an entry of a cpio archive (newc): magic, thirteen hexadecimal numbers, name, content. */
function entry(name: string, mode: number, content: Buffer): Buffer {
  const fields = [0, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return Buffer.concat([padded(Buffer.from(head, 'latin1')), padded(content)]);
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/**
 * The image's initrd with the helper behind it: the kernel unpacks one archive after the other. `more` is shell that a test adds,
 * run with the system's own /run in place.
 */
export function withHelper(initrd: Buffer, more = ''): Buffer {
  const archive = [entry('gate', 0o100644, Buffer.from(hook + more)), entry('TRAILER!!!', 0, Buffer.alloc(0))];
  return Buffer.concat([padded(initrd), ...archive]);
}
