/** A connection to the byte source, by whatever way, and what is measured on it: throughput and the time of an echo. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type WebSocket from 'ws';
import { alternate, type Context } from './figure.js';

export interface Link {
  /** Gets everything that comes. */
  onChunk: (chunk: Buffer) => void;
  /** Rejects when the other side ends. */
  ended: Promise<never>;
  send(data: Buffer): void;
  close(): void;
}

/** Opens a link; a new one for each transfer. */
export type Open = () => Promise<Link>;

const mib = 1024 * 1024;
const [warmUpBytes, transferBytes] = [64 * mib, 256 * mib];

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export function socketLink(socket: Socket): Link {
  socket.setNoDelay(true);
  const send = (data: Buffer): void => void socket.write(data);
  const link: Link = { onChunk: () => undefined, ended: endOf(socket), send, close: () => void socket.destroy() };
  socket.on('data', (chunk: Buffer) => link.onChunk(chunk));
  return link;
}

export function webSocketLink(socket: WebSocket): Link {
  const send = (data: Buffer): void => socket.send(data);
  const link: Link = { onChunk: () => undefined, ended: endOf(socket), send, close: () => socket.terminate() };
  socket.on('message', (data: Buffer) => link.onChunk(data));
  return link;
}

function endOf(source: Socket | WebSocket): Promise<never> {
  const ended = once(source, 'close').then(() => {
    throw new Error('The connection to the byte source ended too early.');
  });
  // Whoever waits for something sees it; nobody else needs to.
  ended.catch(() => undefined);
  return ended;
}

/** Resolves when `bytes` more have come. Rejects when the other side ends before. */
export async function receive(link: Link, bytes: number): Promise<void> {
  let missing = bytes;
  const complete = new Promise<void>((resolve) => {
    link.onChunk = (chunk) => {
      missing -= chunk.length;
      if (missing <= 0) resolve();
    };
  });
  await Promise.race([complete, link.ended]);
}

/** Asks the source for `bytes` over a new link. Returns MiB/s, counted from the request to the last byte. */
async function transfer(open: Open, bytes: number): Promise<number> {
  const link = await open();
  const ms = await timed(async () => {
    const complete = receive(link, bytes);
    link.send(Buffer.from(`send ${bytes}\n`));
    await complete;
  }).finally(() => link.close());
  return bytes / mib / (ms / 1000);
}

/** Throughput in MiB/s of both ways, alternately, after one transfer each that does not count. */
export async function throughput(context: Context, baseline: Open, airlock: Open): Promise<[number[], number[]]> {
  const both = async (rounds: number, bytes: number, say: Context['say']): Promise<[number[], number[]]> => {
    const one = (name: string, open: Open) => async (): Promise<number> => {
      const speed = await transfer(open, bytes);
      say(`  ${name}: ${speed.toFixed(0)} MiB/s`);
      return speed;
    };
    return alternate(rounds, context.signal, one('baseline', baseline), one('airlock', airlock));
  };
  await both(1, warmUpBytes, () => undefined);
  return both(context.runs ?? 5, transferBytes, context.say);
}

/** Milliseconds from sending one byte to its coming back. The source sends back whatever is no request. */
export async function echo(link: Link): Promise<number> {
  return timed(async () => {
    const back = receive(link, 1);
    link.send(Buffer.from('.'));
    await back;
  });
}
