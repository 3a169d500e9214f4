/**
 * The Firecracker driver: a fresh process a VM, told by its API what the VM is made of. It dies with this process, ends when its guest
 * resets the machine, and leaves nothing.
 */
import { open, rm } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import type { Freezing, SavedVm, Vmm, VmmDriver, VmmOptions } from '../driver.js';
import type { Call } from './api.js';
import { checkBoot, checkVm } from './check.js';
import { connectApi, type Api } from './client.js';
import { createCounters, endOf, vmmEnded, type LastWords } from './exit.js';
import { firecrackerHost, requireProgram } from './host.js';
import { startProcess, type StartProcess, type VmmProcess } from './process.js';
import { changeCall, driverName, loadCalls, places, programArguments, setupCalls, tapOf } from './setup.js';

/** `start` is where its process runs: as this user, or in a jail. */
export function createFirecrackerDriver(start: StartProcess): VmmDriver {
  return {
    name: driverName,
    capabilities: { emulation: false, serials: false, snapshot: true, jail: false, networks: ['tap'] },
    host: firecrackerHost,
    start: (options, signal) => run({ options, start, callsOf: (version) => setupCalls(options, version) }, signal),
    load: (options, saved, signal) =>
      run({ options, start, saved, callsOf: (version) => loadCalls(options, version) }, signal),
  };
}

export const firecrackerDriver = createFirecrackerDriver(startProcess);

/** A VM to be made. */
interface Making {
  options: VmmOptions;
  start: StartProcess;
  saved?: SavedVm;
  callsOf: (version: string) => readonly Call[];
}

/** A VMM that runs. */
interface Running {
  options: VmmOptions;
  process: VmmProcess;
  api: Api;
  lastWords: () => LastWords;
}

async function run(making: Making, signal: AbortSignal): Promise<Vmm> {
  const { options } = making;
  signal.throwIfAborted();
  tapOf(options);
  await checkVm(options);
  if (!making.saved) await checkBoot(options);
  const running = await startVmm(making);
  const { process } = running;
  const gone = new AbortController();
  const ended = process.exited.then((exit) => {
    gone.abort(new AppError('vmm_failed', 'Firecracker has ended.', { cause: exit }));
    return endOf(exit, running.lastWords());
  });
  try {
    const over = AbortSignal.any([signal, gone.signal]);
    for (const call of making.callsOf(await running.api.version(over))) await running.api.call(call, over);
  } catch (error) {
    await process.kill();
    signal.throwIfAborted();
    await explain(error, running);
  }
  const freezing = freezingOf(running, gone.signal);
  return { identity: process.identity, forwards: new Map(), exited: ended, kill: process.kill, freezing };
}

async function startVmm({ options, start, saved }: Making): Promise<Running> {
  const program = await requireProgram();
  const { folder, onSerial, onMessage } = options;
  const counters = createCounters();
  const process = await start({
    ...{ program, arguments: programArguments(options), folder, tap: tapOf(options) },
    ...{ files: filesOf(options, saved), onSerial, onMessage, onMetrics: counters.read },
  });
  const lastWords = (): LastWords => ({ messages: options.lastMessages(), failures: counters.failures() });
  return { options, process, api: connectApi(process.socketPath), lastWords };
}

/** What the VMM finds, by name. */
function filesOf({ kernel, initrd, drives }: VmmOptions, saved?: SavedVm): Map<string, string> {
  const boot = { [places.kernel]: kernel, [places.initrd]: initrd };
  const memory = saved && { [places.state]: saved.state, [places.memory]: saved.memory };
  return new Map([
    ...Object.entries(memory ?? boot),
    ...drives.map(({ id, path }) => [places.drive(id), path] as const),
  ]);
}

/** Returns when the VMM ran its guest, which ended by itself before that was answered: the caller's to judge. @throws AppError why else */
async function explain(error: unknown, { process, lastWords }: Running): Promise<void> {
  const exit = await process.exited;
  const { code, message, cause } = AppError.from(error);
  // Firecracker's own words say more than its exit, and there are none when the connection broke.
  if (cause === undefined || exit.signal === 'SIGKILL') {
    const { messages, failures } = lastWords();
    throw new AppError(code, message, { details: { lastOutput: messages, failures }, cause: error });
  }
  if (exit.code !== 0) throw vmmEnded(exit, lastWords(), ' before its guest ran', error);
}

function freezingOf({ api, process }: Running, gone: AbortSignal): Freezing {
  const state = (to: 'Paused' | 'Resumed') => (): Promise<void> =>
    api.call({ name: 'PATCH /vm', body: { state: to } }, gone);
  return {
    pause: state('Paused'),
    resume: state('Resumed'),
    async save(saved) {
      const made: string[] = [];
      try {
        for (const name of ['state', 'memory'] as const) {
          // Made here: all that the guest knows is in it, and Firecracker would let others read it.
          await (await open(saved[name], 'wx', 0o600)).close();
          made.push(saved[name]);
          await process.place(places[name], saved[name]);
        }
        const body = { snapshot_type: 'Full', snapshot_path: places.state, mem_file_path: places.memory } as const;
        await api.call({ name: 'PUT /snapshot/create', body }, gone);
      } catch (error) {
        await Promise.all(made.map((path) => rm(path, { force: true })));
        throw error;
      }
    },
    async changeDrive(id, path) {
      await process.place(places.drive(id), path);
      await api.call(changeCall(id), gone);
    },
  };
}
