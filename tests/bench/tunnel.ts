/** The desktop tunnel: WebSocket through the controller's HTTP server, against TCP straight from the same source. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { DesktopTicket } from '@airlock/contract/api';
import { apiClient } from '../support/api.js';
import { alternate, figureOf, type Context, type Figure } from './figure.js';
import { echo, socketLink, throughput, webSocketLink, type Link, type Open } from './link.js';
import { withPeers } from './peer.js';

const echoes = { warmUp: 100, counted: 1000 };

export async function benchTunnel(context: Context): Promise<Figure[]> {
  return withPeers(async (start) => {
    const { port = '' } = await start('source');
    const relayPort = (await start('relay', port)).port ?? '';
    const { url = '', token = '', vmId = '' } = await start('controller', port);
    const api = apiClient(url, token);
    const tcp = (to: string) => async (): Promise<Link> => {
      const socket = connect({ host: '127.0.0.1', port: Number(to) });
      await once(socket, 'connect');
      return socketLink(socket);
    };
    const viewer = async (): Promise<Link> => {
      const { path } = await api.call('POST', `/api/vm/${vmId}/desktop-ticket`, DesktopTicket);
      const headers = { authorization: `Bearer ${token}` };
      const socket = new WebSocket(new URL(path, url.replace('http', 'ws')), ['binary'], { headers });
      await once(socket, 'open');
      return webSocketLink(socket);
    };
    return measure(context, tcp(port), tcp(relayPort), viewer).finally(async () => api.close());
  });
}

async function measure(context: Context, direct: Open, relay: Open, viewer: Open): Promise<Figure[]> {
  const [directSpeed, tunnelSpeed] = await throughput(context, direct, viewer);
  const [relaySpeed, besideRelaySpeed] = await throughput(context, relay, viewer);
  const [near, far] = [await direct(), await viewer()];
  const echoBoth = async (rounds: number): Promise<[number[], number[]]> =>
    alternate(
      rounds,
      context.signal,
      async () => echo(near),
      async () => echo(far),
    );
  await echoBoth(echoes.warmUp);
  const [directEcho, tunnelEcho] = await echoBoth(echoes.counted);
  for (const link of [near, far]) link.close();
  const [tcp, tunnel] = ['TCP from the source', "WebSocket through the controller's server"];
  return [
    figureOf({
      name: 'tunnel.throughput',
      unit: 'MiB/s',
      goal: { atLeast: 0.8 },
      baseline: { what: tcp, samples: directSpeed },
      airlock: { what: tunnel, samples: tunnelSpeed },
    }),
    // Tells what the tunnel itself costs apart from what a plain hop through one more process costs.
    figureOf({
      name: 'tunnel.relay',
      unit: 'MiB/s',
      goal: { atLeast: 0.8 },
      baseline: { what: 'TCP through a relay in a Node process that does nothing else', samples: relaySpeed },
      airlock: { what: tunnel, samples: besideRelaySpeed },
    }),
    figureOf({
      name: 'tunnel.echo',
      unit: 'ms',
      goal: null,
      baseline: { what: `${tcp}, one byte there and back`, samples: directEcho },
      airlock: { what: `${tunnel}, one byte there and back`, samples: tunnelEcho },
    }),
  ];
}
