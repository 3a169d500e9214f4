/** The program of all peers: the first argument says which to be. Ends when the benchmark lets go of it. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { connectBulk, type BulkSocket } from '@airlock/contract/bulk-socket';
import { openTestEngine } from '@airlock/controller/engine/testing';
import { startTestController } from '@airlock/controller/http/testing/controller';
import { openGateway } from '@airlock/runner/egress/gateway';
import { openDesktop, showDesktop } from '@airlock/runner/guest/desktop';
import { handshakeAsServer } from '@airlock/runner/guest/rfb';
import { openRunnerSocket } from '@airlock/runner/socket';
import type { PeerName, Ready } from './peer.js';
import { listenAsProxy } from './proxy.js';

type Running = Promise<{ ready: Ready; close: () => void | Promise<void> }>;

const block = Buffer.alloc(256 * 1024, 0xa5);

const absent = (): never => {
  throw new Error('The runner of the benchmark only shows a desktop.');
};

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
  /** Sends as many bytes as `send N` asks for, as fast as they are taken; anything else is echoed. `rfb`: after RFB's welcome. */
  async source(opening = '') {
    const server = createServer({ noDelay: true }, async (socket) => {
      socket.on('error', () => socket.destroy());
      if (opening === 'rfb') await handshakeAsServer(socket, AbortSignal.timeout(30_000));
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

  /** The least that a hop through another Node process costs: passes on what comes from `port`, reading as the tunnel reads. */
  async relay(port = '') {
    const server = createServer({ noDelay: true }, (near) => {
      const far = connectBulk({ host: '127.0.0.1', port: Number(port), noDelay: true });
      const end = (): void => [near, far].forEach((socket) => void socket.destroy());
      for (const socket of [near, far]) socket.on('error', end).on('close', end);
      near.pipe(far);
      far.forward((chunk, release) => near.write(chunk, release));
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

  /** A runner's socket with its way to the desktop, which is the byte source after the handshakes of VNC. */
  async runner(path = '', port = '') {
    const { signal } = new AbortController();
    const options = { to: { host: '127.0.0.1', port: Number(port) }, password: '', handshakeMs: 30_000, signal };
    const socket = await openRunnerSocket(path, {
      ...{ status: absent, statusAfter: absent, stop: absent, configure: absent, assign: absent, guest: absent },
      async desktop(viewer, accept) {
        const vnc = await openDesktop(options);
        accept();
        await showDesktop(viewer, vnc, options);
      },
      // Every transfer ends by the viewer's going away.
      onError: () => undefined,
    });
    return { ready: {}, close: socket.close };
  },

  /** The controller's HTTP server, whole, with one VM whose desktop is the byte source at `port`, or a runner's in `home`. */
  async controller(from = '', vmId = '') {
    const test = await startTestController();
    const engine = openTestEngine(from);
    const openSource = async (): Promise<BulkSocket> => {
      const socket = connectBulk({ host: '127.0.0.1', port: Number(from), noDelay: true });
      await once(socket, 'connect');
      return socket;
    };
    const open = vmId === '' ? openSource : async () => engine.openDesktop(vmId);
    const { url } = await test.another({ vms: { ...test.vms, openDesktop: open } });
    const vm = test.vms.add(test.admin.user.id);
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
