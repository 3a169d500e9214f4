/** The guest's end of a TAP interface in a network namespace, as a VMM has it: raw frames out and in. Needs root. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';

/** TUNSETIFF with IFF_TAP and IFF_NO_PI; a line is a frame in hexadecimal digits. */
const program = String.raw`
use strict; use Fcntl; $| = 1;
sysopen(my $tap, '/dev/net/tun', O_RDWR) or die "tun: $!";
my $request = pack('a16 s x22', $ARGV[0], 0x1002);
ioctl($tap, 0x400454ca, $request) or die "TUNSETIFF: $!";
print "\n";
my ($rest, $frame) = ('', '');
for (;;) {
  my $ready = '';
  vec($ready, fileno(STDIN), 1) = 1; vec($ready, fileno($tap), 1) = 1;
  select($ready, undef, undef, undef) >= 0 or die "select: $!";
  if (vec($ready, fileno($tap), 1) && sysread($tap, $frame, 65536)) { print unpack('H*', $frame), "\n"; }
  if (vec($ready, fileno(STDIN), 1)) {
    sysread(STDIN, $rest, 65536, length $rest) or exit;
    syswrite($tap, pack('H*', $1)) while $rest =~ s/^([0-9a-f]*)\n//;
  }
}`;

export interface Tap {
  send(frame: Buffer): void;
  /** Told each frame that comes out. */
  onFrame: (frame: Buffer) => void;
  close(): Promise<void>;
}

/** Opens `name` in the namespace at `path`. */
export async function openTap(path: string, name: string): Promise<Tap> {
  const child = spawn('nsenter', [`--net=${path}`, 'perl', '-e', program, name], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface(child.stdout);
  const opened = await Promise.race([once(lines, 'line').then(() => true), exited.then(() => false)]);
  if (!opened) throw new Error(`${name} could not be opened`);
  const tap: Tap = {
    send: (frame) => void child.stdin.write(`${frame.toString('hex')}\n`),
    onFrame: () => undefined,
    async close() {
      child.stdin.end();
      await exited;
    },
  };
  lines.on('line', (line) => tap.onFrame(Buffer.from(line, 'hex')));
  return tap;
}
