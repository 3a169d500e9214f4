import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/** Two ports in a row that are free: each user has the one after the user before. */
export async function twoPorts(): Promise<[number, number]> {
  for (;;) {
    const first = createServer().listen(0, '127.0.0.1');
    await once(first, 'listening');
    const { port } = first.address() as AddressInfo;
    const second = createServer().listen(port + 1, '127.0.0.1');
    const isFree = await once(second, 'listening').then(
      () => true,
      () => false,
    );
    for (const server of [first, second]) server.close();
    if (isFree) return [port, port + 1];
  }
}
