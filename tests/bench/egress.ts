/**
 * The egress gateway on its unix socket, as a guest's `nc` finds it, against the same upstream proxy asked directly. The
 * target is a name that only this upstream knows: the gateway refuses addresses of this host.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alternate, figureOf, type Context, type Figure } from './figure.js';
import { socketLink, throughput, timed, type Link } from './link.js';
import { withPeers } from './peer.js';

const target = 'bench.example:443';
const connections = 200;

export async function benchEgress(context: Context): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'airlock-b-'));
  return withPeers(async (start) => {
    const source = await start('source');
    const { port = '' } = await start('upstream', target, source['port'] ?? '');
    const socketPath = join(folder, 'e.sock');
    await start('gateway', socketPath, `http://127.0.0.1:${port}`);
    return measure(context, { host: '127.0.0.1', port }, { socketPath });
  }).finally(async () => rm(folder, { recursive: true }));
}

/** A tunnel to the target. @throws Error when the proxy refuses */
async function connectBy(proxy: RequestOptions): Promise<Socket> {
  const call = request({ ...proxy, method: 'CONNECT', path: target, headers: { host: target }, agent: false });
  call.end();
  const [response, socket] = (await once(call, 'connect')) as [IncomingMessage, Socket];
  if (response.statusCode === 200) return socket;
  socket.destroy();
  throw new Error(`CONNECT ${target} was answered with ${response.statusCode}; 200 was expected.`);
}

async function measure(context: Context, upstream: RequestOptions, gateway: RequestOptions): Promise<Figure[]> {
  const openBy = (proxy: RequestOptions) => async (): Promise<Link> => socketLink(await connectBy(proxy));
  const [directSpeed, gatewaySpeed] = await throughput(context, openBy(upstream), openBy(gateway));
  const connectTime = (proxy: RequestOptions) => async (): Promise<number> => {
    let socket: Socket | undefined;
    const ms = await timed(async () => (socket = await connectBy(proxy)));
    socket?.destroy();
    return ms;
  };
  const times = await alternate(connections, context.signal, connectTime(upstream), connectTime(gateway));
  const [direct, through] = ['CONNECT at the upstream proxy', 'the same through the egress gateway'];
  return [
    figureOf({
      name: 'egress.throughput',
      unit: 'MiB/s',
      goal: null,
      baseline: { what: direct, samples: directSpeed },
      airlock: { what: through, samples: gatewaySpeed },
    }),
    figureOf({
      name: 'egress.connect',
      unit: 'ms',
      goal: null,
      baseline: { what: `${direct}, until the tunnel stands`, samples: times[0] },
      airlock: { what: `${through}, until the tunnel stands`, samples: times[1] },
    }),
  ];
}
