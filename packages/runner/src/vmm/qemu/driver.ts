/**
 * The QEMU driver. The process dies with this one (`setpriv --pdeathsig`), is killed by `kill()`, and leaves no file:
 * its monitor and the guest's serial console are pipes to this process.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import { identifyProcess, killExactly } from '@airlock/contract/process';
import type { HostPorts, Launched, ProcessExit } from '../../lib/device.js';
import type { Vmm, VmmDriver, VmmEnd, VmmOptions } from '../driver.js';
import { driverName, qemuArguments, qemuFiles, qemuProgram, qmpFd } from './arguments.js';
import { qemuHost } from './host.js';
import { connectQmp, type Qmp } from './qmp.js';
import { parseUsernet } from './user-network.js';

export const qemuDriver: VmmDriver = {
  name: driverName,
  capabilities: { emulation: true, serials: true, snapshot: false, jail: true, networks: ['tap', 'user'] },
  host: qemuHost,
  start: startQemu,
};

/** A QEMU that was started. */
interface Running extends Pick<Launched, 'exited' | 'kill'> {
  options: VmmOptions;
  qmp: Qmp;
}

async function startQemu(options: VmmOptions, signal: AbortSignal): Promise<Vmm> {
  signal.throwIfAborted();
  const { identity, monitor, exited, kill } = await launchQemu(options);
  const qmp = connectQmp(monitor);
  const forwards = await untilRunning({ options, exited, qmp, kill }, signal);
  return {
    ...{ identity, forwards, exited: exited.then((exit) => endOf(exit, options)), kill },
    pause: async () => void (await qmp.execute('stop')),
    resume: async () => void (await qmp.execute('cont')),
  };
}

/** Locked up where its network is a namespace; otherwise as a child of this process, with the rights of its user. */
async function launchQemu(options: VmmOptions): Promise<Launched> {
  const { network, accel, memoryMib, cpus, onSerial, onMessage } = options;
  if (network.type === 'tap') {
    const order = {
      arguments: qemuArguments(options),
      files: qemuFiles(options).map((path) => ({ path })),
      kvm: accel === 'kvm',
    };
    return await network.launch({ program: qemuProgram, ...order, memoryMib, cpus, onSerial, onMessage });
  }
  const child = spawnQemu(options);
  const exited = waitForExit(child);
  await waitForSpawn(child);
  const identity = child.pid === undefined ? null : await identifyProcess(child.pid);
  if (!identity) throw earlyExit(await exited, options);
  const kill = async (): Promise<void> => {
    await killExactly(identity);
    await exited;
  };
  return { identity, monitor: monitorStream(child), exited, kill };
}

function spawnQemu(options: VmmOptions): ChildProcess {
  const child = spawn(
    'setpriv',
    ['--no-new-privs', '--pdeathsig', 'KILL', '--', qemuProgram, ...qemuArguments(options)],
    {
      cwd: options.folder,
      // Only what finding programs needs: the monitor has no use for this process's environment.
      env: { PATH: process.env['PATH'] },
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    },
  );
  child.stdout.on('data', options.onSerial);
  child.stderr.on('data', options.onMessage);
  // Nobody types on the console; the pipe stays open because an end of input would close QEMU's side of it.
  child.stdin.on('error', (error) => options.onMessage(Buffer.from(`console: ${error.message}\n`)));
  return child;
}

/** QEMU answers its monitor only after it has accepted its arguments and opened every file. */
async function untilRunning({ options, exited, qmp, kill }: Running, signal: AbortSignal): Promise<HostPorts> {
  const onAbort = (): void => {
    kill().catch((error: unknown) => options.onMessage(Buffer.from(`kill: ${AppError.from(error).message}\n`)));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  let usernet: unknown;
  try {
    usernet = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
    signal.throwIfAborted();
  } catch (error) {
    await kill();
    signal.throwIfAborted();
    const exit = await exited;
    // 0: it ran its guest, which ended by itself before we could ask. That is the caller's to judge.
    if (exit.code !== 0) throw earlyExit(exit, options, error);
    return new Map();
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  try {
    return options.network.type === 'user'
      ? parseUsernet(z.string().parse(usernet), options.network.forwards)
      : new Map();
  } catch (error) {
    await kill();
    throw error;
  }
}

function monitorStream(child: ChildProcess): Duplex {
  const stream: unknown = child.stdio[qmpFd];
  if (stream instanceof Duplex) return stream;
  throw new AppError('internal', `File descriptor ${qmpFd} of QEMU is not a socket.`);
}

async function waitForSpawn(child: ChildProcess): Promise<void> {
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw new AppError('vmm_missing', 'setpriv could not be started; it makes QEMU end together with its runner.', {
      hint: 'Install the package util-linux.',
      cause: error,
    });
  }
}

/** An `nc` of the user network may hold QEMU's standard error open for a moment longer than QEMU lives: wait 1 s at most. */
function waitForExit(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('exit', (code, signal) => setTimeout(() => resolve({ code, signal }), 1000).unref());
    child.once('error', () => resolve({ code: null, signal: null }));
  });
}

/** With -no-reboot QEMU ends with 0 when its guest shuts down or resets. */
function endOf(exit: ProcessExit, options: VmmOptions): VmmEnd {
  return exit.code === 0 ? { by: 'guest' } : { by: 'fault', error: qemuFailed(exit, options) };
}

/** The error for a QEMU that ended before its guest ran. setpriv reports a missing program by exit code 127. */
function earlyExit(exit: ProcessExit, options: VmmOptions, cause?: unknown): AppError {
  if (exit.code === 127) {
    return new AppError('vmm_missing', `${qemuProgram} is not installed.`, {
      hint: 'Install QEMU 10 (package qemu-system-x86); `npx airlock doctor` says how.',
    });
  }
  return qemuFailed(exit, options, cause);
}

/** The error for a QEMU that ended by itself, with its last words. */
function qemuFailed(exit: ProcessExit, options: VmmOptions, cause?: unknown): AppError {
  const lastMessages = options.lastMessages();
  const how = exit.signal === null ? `with exit code ${exit.code}` : `by signal ${exit.signal}`;
  const last = lastMessages.split('\n').at(-1) ?? '';
  return new AppError('vmm_failed', `QEMU ended ${how}${last === '' ? '.' : `: ${last}`}`, {
    hint: 'vmm.log in the VM folder holds all of its messages.',
    details: { lastLog: lastMessages },
    cause,
  });
}
