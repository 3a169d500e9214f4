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
import type { Vmm, VmmDriver, VmmExit, VmmOptions } from './driver.js';
import { qemuArguments, qmpFd } from './qemu-arguments.js';
import { connectQmp, type Qmp } from './qmp.js';

export const qemuProgram = 'qemu-system-x86_64';

export const qemuDriver: VmmDriver = {
  name: 'qemu',
  capabilities: { snapshot: false, emulation: true },
  start: startQemu,
};

async function startQemu(options: VmmOptions, signal: AbortSignal): Promise<Vmm> {
  signal.throwIfAborted();
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
  const exited = waitForExit(child);
  await waitForSpawn(child);
  const monitorEnd = monitorStream(child);
  const qmp = connectQmp(monitorEnd);
  const identity = child.pid === undefined ? null : await identifyProcess(child.pid);
  if (!identity) throw earlyExit(await exited, options);

  const vmm: Vmm = {
    identity,
    exited,
    async monitor(line) {
      try {
        return z.string().parse(await qmp.execute('human-monitor-command', { 'command-line': line }));
      } catch (error) {
        // An ended QEMU is reported by its exit, which tells more than the end of this connection.
        if (monitorEnd.destroyed) await exited;
        throw error;
      }
    },
    async kill() {
      await killExactly(identity);
      await exited;
    },
  };
  await untilRunning(qmp, vmm, options, signal);
  return vmm;
}

/** QEMU answers its monitor only after it has accepted its arguments and opened every file. */
async function untilRunning(qmp: Qmp, vmm: Vmm, options: VmmOptions, signal: AbortSignal): Promise<void> {
  const onAbort = (): void => void vmm.kill();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await qmp.execute('query-status');
    signal.throwIfAborted();
  } catch (error) {
    await vmm.kill();
    signal.throwIfAborted();
    const exit = await vmm.exited;
    // 0: it ran its guest, which ended by itself before we could ask. That is the caller's to judge.
    if (exit.code !== 0) throw earlyExit(exit, options, error);
  } finally {
    signal.removeEventListener('abort', onAbort);
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
function waitForExit(child: ChildProcess): Promise<VmmExit> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('exit', (code, signal) => setTimeout(() => resolve({ code, signal }), 1000).unref());
    child.once('error', () => resolve({ code: null, signal: null }));
  });
}

/** The error for a QEMU that ended before its guest ran. setpriv reports a missing program by exit code 127. */
function earlyExit(exit: VmmExit, options: VmmOptions, cause?: unknown): AppError {
  if (exit.code === 127) {
    return new AppError('vmm_missing', `${qemuProgram} is not installed.`, {
      hint: 'Install QEMU 10 (package qemu-system-x86); `npx airlock doctor` says how.',
    });
  }
  return vmmFailed(exit, options.lastMessages(), cause);
}

/** The error for a QEMU that ended by itself, with its last words. */
export function vmmFailed(exit: VmmExit, lastMessages: string, cause?: unknown): AppError {
  const how = exit.signal === null ? `with exit code ${exit.code}` : `by signal ${exit.signal}`;
  const last = lastMessages.split('\n').at(-1) ?? '';
  return new AppError('vmm_failed', `QEMU ended ${how}${last === '' ? '.' : `: ${last}`}`, {
    hint: 'vmm.log in the VM folder holds all of its messages.',
    details: { lastLog: lastMessages },
    cause,
  });
}
