/** One connection: requests by line, answered in order, and everything given back when it ends. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import {
  HelperRequest,
  maxHelperLine,
  type HelperEvent,
  type HelperStatus,
  type JailAnswer,
  type NetworkAnswer,
} from '@airlock/contract/privileged';
import { cgroupProblem } from './jail/cgroup.js';
import type { Jail, JailEvents } from './jail/jail.js';
import { createVm, type Vm } from './vm.js';
import type { HelperConfig } from './config.js';
import { programProblem } from './network/slot.js';

/** Serves `input` until it ends or `over` fires. Whatever the requests are, nothing is left afterwards. */
export async function serve(config: HelperConfig, input: Readable, output: Writable, over: AbortSignal): Promise<void> {
  let vm: Vm | undefined;
  let jail: Jail | undefined;
  // Whoever does not listen any more has ended, and so has what it asked for.
  output.on('error', () => input.destroy());
  const tell = (message: object): boolean => !output.writable || output.write(`${JSON.stringify(message)}\n`);

  /** Undefined: the request is not answered. */
  async function answer(line: string): Promise<HelperStatus | NetworkAnswer | JailAnswer | undefined> {
    const request = parse(line);
    if (request.verb === 'monitor') return void jail?.monitor(Buffer.from(request.data, 'base64'));
    if (request.verb === 'kill') return void (await jail?.close());
    if (request.verb === 'start') {
      if (!vm) throw new AppError('invalid_request', 'A VMM is started after the network that it is for.');
      jail = await vm.start(request, jailEvents(output, tell));
      return { identity: jail.identity };
    }
    if (request.verb === 'status') {
      return { version: 1, problem: (await programProblem()) ?? (await cgroupProblem()), vmUsers: config.ids };
    }
    if (vm)
      throw new AppError('invalid_request', 'A connection to the helper is for one VM, and this one has its own.');
    vm = await createVm(config, request.vmId, request.vmUser);
    vm.ended.finally(() => input.destroy()).catch(() => undefined);
    return { folder: vm.folder };
  }

  over.addEventListener('abort', () => input.destroy(), { once: true });
  try {
    for await (const line of lines(input)) {
      const message = await answer(line).catch(refusal);
      if (message) tell(message);
    }
  } finally {
    await vm?.close();
  }
}

/** Bytes of a chunk whose base64 surely fits into a line. */
const chunkBytes = 32 * 1024;

function jailEvents(output: Writable, tell: (event: HelperEvent) => boolean): JailEvents {
  return {
    async output(event, chunk) {
      for (let at = 0; at < chunk.length; at += chunkBytes) {
        const data = chunk.subarray(at, at + chunkBytes).toString('base64');
        if (!tell({ event, data })) await Promise.race([once(output, 'drain'), once(output, 'close')]);
      }
    },
    exit: (code, signal) => void tell({ event: 'exit', code, signal }),
  };
}

function refusal(error: unknown): { error: object } {
  if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') return { error: AppError.from(error).toBody() };
  const full = new AppError('disk_full', 'There is no space for what the helper keeps of a VM.', {
    hint: 'Make space, or free names of files (df -i), where its --run folder is: /run/airlock-helper.',
    cause: error,
  });
  return { error: full.toBody() };
}

function parse(line: string): HelperRequest {
  try {
    return HelperRequest.parse(JSON.parse(line));
  } catch (cause) {
    throw new AppError('invalid_request', 'The helper does not know such a request.', { cause });
  }
}

/** Ends in order when the input ends, or is destroyed. @throws AppError payload_too_large */
async function* lines(input: Readable): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const chunk of input.setEncoding('utf8')) {
      const parts = (rest + String(chunk)).split('\n');
      if (parts.some((part) => part.length > maxHelperLine)) {
        throw new AppError('payload_too_large', `A request to the helper is longer than ${maxHelperLine} bytes.`);
      }
      rest = parts.pop() ?? '';
      yield* parts;
    }
  } catch (error) {
    if (!input.destroyed || error instanceof AppError) throw error;
  }
}
