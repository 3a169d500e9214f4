/** QEMU's monitor protocol: one JSON object a line; commands are answered by id, events are ignored. */
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';

const Message = z.union([
  z.looseObject({ return: z.unknown(), id: z.int() }),
  z.looseObject({ error: z.looseObject({ class: z.string(), desc: z.string() }), id: z.int().optional() }),
  z.looseObject({ QMP: z.looseObject({}) }),
  z.looseObject({ event: z.string() }),
]);
export type QmpMessage = z.infer<typeof Message>;

export interface Qmp {
  /**
   * Runs a command and returns its `return` value.
   * @throws AppError vmm_failed when QEMU refuses it or the connection ends first.
   */
  execute(command: string, args?: Record<string, unknown>): Promise<unknown>;
}

/** Characters of one message. */
const maxLine = 1024 * 1024;

/** Splits a byte stream into messages; keeps what is not complete yet. Anything unknown is an AppError vmm_failed. */
export function createQmpDecoder(): (chunk: string) => QmpMessage[] {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLine) throw new AppError('vmm_failed', "QEMU's monitor sent a line without end.");
    return lines.filter((line) => line.trim() !== '').map(parseLine);
  };
}

function parseLine(line: string): QmpMessage {
  try {
    return Message.parse(JSON.parse(line));
  } catch (error) {
    throw new AppError('vmm_failed', `QEMU's monitor sent something unknown: ${line.slice(0, 200)}`, { cause: error });
  }
}

/** Speaks QMP on `stream`; the capabilities handshake is the first command. */
export function connectQmp(stream: Duplex): Qmp {
  const decode = createQmpDecoder();
  const waiting = new Map<
    number,
    { command: string; resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  let nextId = 1;
  let ended: AppError | undefined;

  function end(error: AppError): void {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  }

  function receive(message: QmpMessage): void {
    const id = 'id' in message && typeof message.id === 'number' ? message.id : undefined;
    const command = id === undefined ? undefined : waiting.get(id);
    if (id === undefined || !command) return;
    waiting.delete(id);
    if ('error' in message) {
      const { desc } = z.looseObject({ desc: z.string() }).parse(message.error);
      command.reject(new AppError('vmm_failed', `QEMU refused ${command.command}: ${desc}`));
    } else command.resolve('return' in message ? message.return : undefined);
  }

  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    try {
      decode(chunk).forEach(receive);
    } catch (error) {
      end(AppError.from(error));
    }
  });
  stream.on('error', (error) => end(new AppError('vmm_failed', `QEMU's monitor: ${error.message}`)));
  stream.on('close', () => end(new AppError('vmm_failed', "QEMU's monitor closed its connection.")));

  function execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    if (ended) return Promise.reject(ended);
    const id = nextId++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { command, resolve, reject });
      stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  // QEMU reads commands only after this one; an error shows in whatever is executed next.
  execute('qmp_capabilities').catch((error: unknown) => end(AppError.from(error)));
  return { execute };
}
