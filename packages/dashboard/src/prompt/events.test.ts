import { describe, expect, it } from 'vitest';
import { readEvents } from './events.js';

function streamOf(pieces: readonly (string | Uint8Array)[], onCancel = (): void => undefined) {
  const encoder = new TextEncoder();
  const left = [...pieces];
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = left.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece);
    },
    cancel: onCancel,
  });
}

async function collect(stream: ReadableStream<Uint8Array>, silence?: number): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const event of readEvents(stream, silence)) all.push(event);
  return all;
}

const whole =
  'data: {"status":"asking"}\n\n: still here\n\ndata: {"chunk":"Grüß"}\n\ndata: {"exitCode":0}\n\ndata: [DONE]\n\n';
const events = [{ status: 'asking' }, { chunk: 'Grüß' }, { exitCode: 0 }];

describe('the answer of a prompt', () => {
  it('is read however it is cut into pieces, even within a character', async () => {
    const bytes = new TextEncoder().encode(whole);
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.slice(at * size, (at + 1) * size),
      );
      expect(await collect(streamOf(pieces))).toEqual(events);
    }
  });

  it.each([
    ['breaks off', 'data: {"chunk":"a"}\n\n', /broke off/],
    ['is no JSON', 'data: {"chunk\n\n', /outside of the API contract/],
    ['knows more than this page', 'data: {"picture":"x"}\n\n', /outside of the API contract/],
  ])('that %s is told', async (_what, text, message) => {
    await expect(collect(streamOf([text]))).rejects.toThrow(message);
  });

  it('that falls silent is told, and let go', async () => {
    let isCancelled = false;
    const silent = new ReadableStream<Uint8Array>({ cancel: () => void (isCancelled = true) });
    await expect(collect(silent, 20)).rejects.toThrow(/nothing came/);
    expect(isCancelled).toBe(true);
  });

  it('is cancelled when nobody reads on', async () => {
    let isCancelled = false;
    for await (const event of readEvents(streamOf([whole, whole], () => void (isCancelled = true)))) {
      expect(event).toEqual(events[0]);
      break;
    }
    expect(isCancelled).toBe(true);
  });
});
