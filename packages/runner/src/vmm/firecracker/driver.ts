/**
 * The Firecracker driver: a fresh process a VM, locked up by its jailer, told by its API what the VM is made of. It ends when its guest
 * resets the machine, and leaves nothing.
 */
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import type { LaunchFile, Launched } from '../../lib/device.js';
import type { Freezing, SavedVm, Vmm, VmmDriver, VmmOptions } from '../driver.js';
import type { Call } from './api.js';
import { checkBoot, checkVm } from './check.js';
import { connectApi, type Api } from './client.js';
import { createCounters, endOf, vmmEnded, type LastWords } from './exit.js';
import { firecrackerHost } from './host.js';
import {
  driverName,
  isAtLeast,
  loadCalls,
  oldestVersion,
  places,
  programArguments,
  refreshCall,
  setupCalls,
  tapOf,
} from './setup.js';

export const firecrackerDriver: VmmDriver = {
  name: driverName,
  capabilities: { emulation: false, serials: false, snapshot: true, jail: true, networks: ['tap'] },
  host: firecrackerHost,
  start: (options, signal) => run({ options, callsOf: (version) => setupCalls(options, version) }, signal),
  load: (options, saved, signal) => run({ options, saved, callsOf: (version) => loadCalls(options, version) }, signal),
};

/** A VM to be made. */
interface Making {
  options: VmmOptions;
  saved?: SavedVm;
  callsOf: (version: string) => readonly Call[];
}

/** A VMM that runs. */
interface Running {
  options: VmmOptions;
  launched: Launched;
  api: Api;
  lastWords: () => LastWords;
}

async function run(making: Making, signal: AbortSignal): Promise<Vmm> {
  const { options } = making;
  signal.throwIfAborted();
  tapOf(options);
  await checkVm(options);
  if (!making.saved) await checkBoot(options);
  const made = await makeSaved(options);
  try {
    return await begin(making, await launch(making), signal);
  } catch (error) {
    await Promise.all(made.map((path) => rm(path, { force: true })));
    throw error;
  }
}

/** Answers once the VM runs, or stands still as it was saved. When it rejects, the VMM has ended. */
async function begin(making: Making, running: Running, signal: AbortSignal): Promise<Vmm> {
  const { launched, api } = running;
  const ended = launched.exited.then((exit) => endOf(exit, running.lastWords()));
  try {
    const version = await api.version(signal);
    requireVersion(version);
    for (const call of making.callsOf(version)) await api.call(call, signal);
  } catch (error) {
    await launched.kill();
    signal.throwIfAborted();
    await explain(error, running);
  }
  const { identity, kill } = launched;
  const state = (to: 'Paused' | 'Resumed') => (): Promise<void> =>
    api.call({ name: 'PATCH /vm', body: { state: to } }, never);
  return {
    ...{ identity, forwards: new Map(), exited: ended, kill, freezing: freezingOf(running) },
    ...{ pause: state('Paused'), resume: state('Resumed') },
  };
}

async function launch({ options, saved }: Making): Promise<Running> {
  const { memoryMib, cpus, onSerial, onMessage, lastMessages } = options;
  const counters = createCounters();
  const launched = await tapOf(options).launch({
    ...{ program: driverName, arguments: [...programArguments], files: filesOf(options, saved) },
    ...{ kvm: true, memoryMib, cpus, onSerial, onMessage, onMetrics: counters.read },
  });
  const lastWords = (): LastWords => ({ messages: lastMessages(), failures: counters.failures() });
  return { options, launched, api: connectApi(launched.monitor), lastWords };
}

/** Makes the files that the VM may be saved to, empty: all that its guest knows will be in them. Answers their paths. */
async function makeSaved({ saveAs }: VmmOptions): Promise<string[]> {
  const made: string[] = [];
  try {
    for (const path of saveAs ? [saveAs.state, saveAs.memory] : []) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await (await open(path, 'wx', 0o600)).close();
      made.push(path);
    }
    return made;
  } catch (error) {
    await Promise.all(made.map((path) => rm(path, { force: true })));
    throw error;
  }
}

/** What the VMM finds, by name. */
function filesOf({ kernel, initrd, drives, saveAs }: VmmOptions, saved?: SavedVm): LaunchFile[] {
  const memory = saved ?? saveAs;
  return [
    ...(saved
      ? []
      : [
          { name: places.kernel, path: kernel },
          { name: places.initrd, path: initrd },
        ]),
    ...(['state', 'memory'] as const).flatMap((part) =>
      memory ? [{ name: places[part], path: memory[part], write: !saved }] : [],
    ),
    ...drives.map(({ id, path }) => ({ name: places.drive(id), path })),
  ];
}

function requireVersion(version: string): void {
  if (isAtLeast(version, oldestVersion)) return;
  throw new AppError(
    'vmm_unsuitable',
    `Firecracker ${version} is too old, or tells no version: ${oldestVersion} or newer is needed.`,
    { hint: 'Put a newer one, with its jailer, in the place that the privileged helper is told: --programs.' },
  );
}

/** Returns when the VMM ran its guest, which ended by itself before that was answered: the caller's to judge. @throws AppError why else */
async function explain(error: unknown, { launched, lastWords }: Running): Promise<void> {
  const exit = await launched.exited;
  const { code, message, cause } = AppError.from(error);
  // Firecracker's own words say more than its exit, and there are none when the connection broke.
  if (cause === undefined || exit.signal === 'SIGKILL') {
    const { messages, failures } = lastWords();
    throw new AppError(code, message, { details: { lastOutput: messages, failures }, cause: error });
  }
  if (exit.code !== 0) throw vmmEnded(exit, lastWords(), ' before its guest ran', error);
}

/** A VMM that ends meanwhile takes its connection along. */
const never = new AbortController().signal;

function freezingOf({ api, options }: Running): Freezing {
  return {
    async save() {
      if (!options.saveAs) throw new AppError('invalid_request', 'This VM was not started to be saved.');
      const body = { snapshot_type: 'Full', snapshot_path: places.state, mem_file_path: places.memory } as const;
      await api.call({ name: 'PUT /snapshot/create', body }, never);
    },
    refreshDrive: (id) => api.call(refreshCall(id), never),
  };
}
