/** The desktop tunnel exactly as noVNC uses it: a WebSocket with binary messages, read as one stream of bytes. */
import { WebSocket } from 'undici';
import { AppError } from '@airlock/contract/errors';
import type { Api } from '../lib/api.js';

export interface ByteStream {
  /** The next `length` bytes. @throws AppError desktop_not_ready once the tunnel is closed. */
  read(length: number): Promise<Buffer>;
  write(bytes: Buffer): void;
  /** Resolves with the reason when the tunnel closes, whoever closes it. */
  closed: Promise<string>;
  close(): void;
}

/** Opens the tunnel. @param path of a DesktopTicket. */
export async function openTunnel(api: Api, path: string, timeoutMs = 15_000): Promise<ByteStream> {
  const url = new URL(path, api.url);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const headers = { authorization: `Bearer ${api.token}`, origin: new URL(api.url).origin };
  const socket = new WebSocket(url, { protocols: ['binary'], headers });
  socket.binaryType = 'arraybuffer';

  const chunks: Buffer[] = [];
  let available = 0;
  let ended: string | null = null;
  let wake: () => void = () => undefined;
  const closed = new Promise<string>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => {
      ended = `closed with ${code}${reason ? ` (${reason})` : ''}`;
      resolve(ended);
      wake();
    });
  });
  socket.addEventListener('message', ({ data }: { data: unknown }) => {
    const chunk = data instanceof ArrayBuffer ? Buffer.from(data) : Buffer.from(String(data));
    chunks.push(chunk);
    available += chunk.length;
    wake();
  });
  await opened(socket, timeoutMs);

  async function read(length: number): Promise<Buffer> {
    while (available < length) {
      if (ended !== null) throw new AppError('desktop_not_ready', `The desktop tunnel ${ended}.`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
    const all = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
    chunks.length = 0;
    if (all.length > length) chunks.push(all.subarray(length));
    available -= length;
    return all.subarray(0, length);
  }

  return { read, write: (bytes) => socket.send(bytes), closed, close: () => socket.close() };
}

async function opened(socket: WebSocket, timeoutMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void =>
      reject(new AppError('desktop_not_ready', `The desktop tunnel could not be opened: ${why}.`));
    const timer = setTimeout(() => {
      socket.close();
      fail(`no answer within ${timeoutMs} ms`);
    }, timeoutMs);
    socket.addEventListener('open', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.addEventListener('error', ({ message }) => {
      clearTimeout(timer);
      fail(message || 'the controller refused it');
    });
  });
}
