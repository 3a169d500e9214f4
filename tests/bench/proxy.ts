/** A small HTTP proxy that knows CONNECT only, and of all targets only those that it is given; all else is refused. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type ListenOptions } from 'node:net';
import type { Duplex } from 'node:stream';

/** `targets`: from `host:port` as asked for to the port of this host that stands for it. `port` is 0 on a path. */
export async function listenAsProxy(
  address: ListenOptions,
  targets: ReadonlyMap<string, number> = new Map(),
): Promise<{ port: number; close: () => void }> {
  const server = createServer((_request, response) => void response.writeHead(502).end());
  server.on('connect', ({ url = '' }, near: Duplex) => {
    near.on('error', () => near.destroy());
    const target = targets.get(url);
    if (target === undefined) return void near.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n');
    const far = connect({ host: '127.0.0.1', port: target, noDelay: true });
    far.on('error', () => far.destroy());
    far.once('connect', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      far.pipe(near).pipe(far);
    });
    far.once('close', () => near.destroy());
    near.once('close', () => far.destroy());
  });
  server.listen(address);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port ?? 0, close: () => void server.close() };
}
