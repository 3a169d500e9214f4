/** What the agent does to the machine as a whole. The 'off' form changes nothing and only says what it would have done. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { guestUser } from '@airlock/contract/guest';
import type { Log } from './log.js';
import type { UserIds } from './as-user.js';
import type { Processes, RunRequest } from './processes.js';
import type { AgentSettings } from './settings.js';

export interface System {
  /** Who the CLIs, and the files in the home folder, belong to. */
  user: UserIds;
  /** Ends all programs of the user that this agent has started, or a former one, wherever they went. */
  endPrograms(): Promise<void>;
  /** Mixes bytes into the kernel's random numbers and makes it use them at once. */
  seedRandom(entropy: Buffer): Promise<void>;
  /** Moves the wall clock on, or (negative) back, by so many milliseconds. */
  moveClock(byMs: number): Promise<void>;
  setHostname(name: string): Promise<void>;
  powerOff(): Promise<void>;
}

// RNDADDENTROPY takes struct {int bits; int bytes; char data[]}; RNDRESEEDCRNG takes nothing (linux/random.h).
const seedScript = `
  read(STDIN, my $bytes, 4096) or die "no entropy on standard input";
  open(my $random, '+<', '/dev/urandom') or die "/dev/urandom: $!";
  ioctl($random, 0x40085203, pack('ii', 8 * length $bytes, length $bytes) . $bytes) or die "RNDADDENTROPY: $!";
  ioctl($random, 0x5207, 0) or die "RNDRESEEDCRNG: $!";
`;

// adjtimex, number 159 of amd64, with ADJ_SETOFFSET and ADJ_NANO in the 208 bytes of struct timex: seconds and nanoseconds are its ninth
// member (linux/timex.h). The kernel adds them in one step, so that it does not matter how long this program took to start.
const clockScript = `
  my $timex = pack('Lx68qqx120', 0x2100, @ARGV);
  syscall(159, $timex) >= 0 or die "adjtimex: $!";
`;

/** Seconds, and nanoseconds that are never negative. */
const secondsOf = (ms: number): string[] =>
  [Math.floor(ms / 1000), (ms - 1000 * Math.floor(ms / 1000)) * 1e6].map(String);

/**
 * Runs a system program.
 * @throws AppError command_failed with its last output.
 */
export async function runTool(processes: Processes, request: Omit<RunRequest, 'timeoutMs'>): Promise<string> {
  const outcome = await processes.run({ ...request, timeoutMs: 30_000 });
  if (outcome.exitCode === 0) return outcome.output;
  const how = outcome.startError?.message ?? (outcome.timedOut ? 'no end after 30 s' : `exit code ${outcome.exitCode}`);
  throw new AppError('command_failed', `${request.argv[0]} failed (${how}): ${outcome.output.trim().slice(-500)}`);
}

export function createSystem(settings: AgentSettings, processes: Processes, log: Log): System {
  return settings.systemEffects === 'on' ? realSystem(settings, processes) : idleSystem(log);
}

function realSystem(settings: AgentSettings, processes: Processes): System {
  const env = { PATH: settings.searchPath, LANG: 'C.UTF-8' };
  const tool = async (argv: [string, ...string[]], input?: Buffer): Promise<void> => {
    await runTool(processes, { argv, env, ...(input && { input }) });
  };
  return {
    user: { uid: guestUser.uid, gid: guestUser.gid, cgroup: settings.programsCgroup },
    endPrograms: () => emptyCgroup(settings.programsCgroup),
    seedRandom: (entropy) => tool(['perl', '-e', seedScript], entropy),
    moveClock: (byMs) => tool(['perl', '-e', clockScript, '--', ...secondsOf(byMs)]),
    setHostname: (name) => writeFile('/proc/sys/kernel/hostname', name),
    powerOff: async () => tool(['systemctl', endOf(await readFile('/proc/cmdline', 'utf8')), '--no-block']),
  };
}

/**
 * What ends the machine: a VMM that ends only when its guest restarts, and not when it is switched off, has the kernel told so among
 * its arguments.
 */
export const endOf = (kernelArguments: string): 'reboot' | 'poweroff' =>
  kernelArguments.trim().split(/\s+/).includes('airlock.off=reset') ? 'reboot' : 'poweroff';

/** Leaves the cgroup, without a process. @throws when the one above, which has the limits, is not there */
async function emptyCgroup(folder: string): Promise<void> {
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await writeFile(join(folder, 'cgroup.kill'), '1');
}

function idleSystem(log: Log): System {
  const skip = (what: string) => (): Promise<void> => {
    log(`system effects are off: not done: ${what}`);
    return Promise.resolve();
  };
  return {
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    endPrograms: skip('end programs of a former agent'),
    seedRandom: skip('seed random numbers'),
    moveClock: skip('move clock'),
    setHostname: skip('set host name'),
    powerOff: skip('power off'),
  };
}
