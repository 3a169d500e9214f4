/** The program of all peers: the first argument says which to be. Ends when the benchmark lets go of it. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { startTestController } from '@airlock/controller/http/testing/controller';
import { openGateway } from '@airlock/runner/egress/gateway';
import type { PeerName, Ready } from './peer.js';
import { listenAsProxy } from './proxy.js';

type Running = Promise<{ ready: Ready; close: () => void | Promise<void> }>;

const block = Buffer.alloc(256 * 1024, 0xa5);

function sendBytes(socket: Socket, bytes: number): void {
  let rest = bytes;
  const more = (): void => {
    while (rest > 0) {
      const part = block.subarray(0, rest);
      rest -= part.length;
      if (!socket.write(part)) return void socket.once('drain', more);
    }
  };
  more();
}

const peers: Readonly<Record<PeerName, (...args: string[]) => Running>> = {
  /** Sends as many bytes as `send N` asks for, as fast as they are taken; anything else is echoed. */
  async source() {
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk) => {
        const asked = /^send (\d+)\n$/.exec(chunk.subarray(0, 32).toString('latin1'))?.[1];
        if (asked === undefined) socket.write(chunk);
        else sendBytes(socket, Number(asked));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { ready: { port: String((server.address() as AddressInfo).port) }, close: () => void server.close() };
  },

  /** The least that a hop through another Node process costs: joins each connection with one to `port`, and does nothing else. */
  async relay(port = '') {
    const server = createServer({ noDelay: true }, (near) => {
      const far = connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
      const end = (): void => [near, far].forEach((socket) => void socket.destroy());
      for (const socket of [near, far]) socket.on('error', end).on('close', end);
      near.pipe(far).pipe(near);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { ready: { port: String((server.address() as AddressInfo).port) }, close: () => void server.close() };
  },

  /** The upstream proxy, which knows one target. */
  async upstream(target = '', port = '') {
    const proxy = await listenAsProxy({ host: '127.0.0.1', port: 0 }, new Map([[target, Number(port)]]));
    return { ready: { port: String(proxy.port) }, close: proxy.close };
  },

  /** The egress gateway of a VM. */
  async gateway(socketPath = '', upstreamUrl = '') {
    const onUpstreamError = ({ code, message }: { code: string; message: string }): void =>
      void process.stderr.write(`${code}: ${message}\n`);
    const gateway = await openGateway({ socketPath, upstreamUrl, directHosts: [], onUpstreamError });
    return { ready: {}, close: gateway.close };
  },

  /** The controller's HTTP server, whole, with one VM whose desktop is the byte source. */
  async controller(port = '') {
    const test = await startTestController();
    const openDesktop = async (): Promise<Socket> => {
      const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
      await once(socket, 'connect');
      return socket;
    };
    const { url } = await test.another({ machines: { ...test.machines, openDesktop } });
    const vm = test.machines.add(test.admin.user.id);
    return { ready: { url, token: test.admin.token, vmId: vm.id }, close: test.close };
  },
};

// Ctrl-C in a terminal reaches every process; the benchmark ends its peers in order.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
const released = once(process, 'disconnect');
const [name, ...args] = process.argv.slice(2);
const running = await peers[name as PeerName](...args);
process.send?.(running.ready);
await released;
await running.close();
process.exit();
