/** One connection: requests by line, answered in order, and everything given back when it ends. */
import type { Readable, Writable } from 'node:stream';
import { AppError } from '@airlock/contract/errors';
import { HelperRequest, maxHelperLine, type HelperStatus, type NetworkAnswer } from '@airlock/contract/privileged';
import { createVm, type Vm } from './vm.js';
import type { HelperConfig } from './config.js';
import { networkProblem } from './network/slot.js';

/** Serves `input` until it ends or `over` fires. Whatever the requests are, nothing is left afterwards. */
export async function serve(config: HelperConfig, input: Readable, output: Writable, over: AbortSignal): Promise<void> {
  let vm: Vm | undefined;

  async function answer(line: string): Promise<HelperStatus | NetworkAnswer> {
    const request = parse(line);
    if (request.verb === 'status') return { version: 1, networkProblem: await networkProblem() };
    if (vm)
      throw new AppError('invalid_request', 'A connection to the helper is for one VM, and this one has its own.');
    vm = await createVm(config, request.vmId);
    vm.ended.finally(() => input.destroy()).catch(() => undefined);
    return { folder: vm.folder };
  }

  over.addEventListener('abort', () => input.destroy(), { once: true });
  try {
    for await (const line of lines(input)) {
      output.write(`${JSON.stringify(await answer(line).catch(refusal))}\n`);
    }
  } finally {
    await vm?.close();
  }
}

const refusal = (error: unknown): { error: object } => ({ error: AppError.from(error).toBody() });

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
