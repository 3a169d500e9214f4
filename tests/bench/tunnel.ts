/**
 * The desktop tunnel against TCP straight from the same source: through the controller's HTTP server alone, and through
 * controller and runner as a viewer's bytes go. All sides are processes of their own on one machine, and nothing limits them
 * but its processors, so that each further hop takes its share from the others; docs/performance.md says what that means.
 */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { WebSocket } from 'ws';
import { homePaths } from '@airlock/contract/home';
import { DesktopTicket } from '@airlock/contract/api';
import { apiClient } from '../support/api.js';
import { alternate, figureOf, type Context, type Figure } from './figure.js';
import { echo, receive, socketLink, throughput, webSocketLink, type Link, type Open } from './link.js';
import { withPeers, type Ready } from './peer.js';

const echoes = { warmUp: 100, counted: 1000 };
/** Only a name of a folder. */
const runnersVm = 'vm_0123456789abcdef';

interface Ways {
  direct: Open;
  relay: Open;
  /** Through the controller's server. */
  tunnel: Open;
  /** Through the controller's server and a runner's socket. */
  whole: Open;
}

export async function benchTunnel(context: Context): Promise<Figure[]> {
  const home = await mkdtemp(join(tmpdir(), 'airlock-b-'));
  return withPeers(async (start) => {
    const { port = '' } = await start('source');
    const relayPort = (await start('relay', port)).port ?? '';
    const runnerSocket = homePaths(home).vmFile(runnersVm, 'socket');
    await mkdir(dirname(runnerSocket), { recursive: true });
    await start('runner', runnerSocket, (await start('source', 'rfb')).port ?? '');
    const tunnel = viewerOf(await start('controller', port), async () => undefined);
    const whole = viewerOf(await start('controller', home, runnersVm), takeWelcome);
    return measure(context, { direct: tcp(port), relay: tcp(relayPort), tunnel, whole });
  }).finally(async () => rm(home, { recursive: true }));
}

function tcp(port: string): Open {
  return async () => {
    const socket = connect({ host: '127.0.0.1', port: Number(port) });
    await once(socket, 'connect');
    return socketLink(socket);
  };
}

/** Viewers at a controller; `begin` is done on each new link. */
function viewerOf({ url = '', token = '', vmId = '' }: Ready, begin: (link: Link) => Promise<void>): Open {
  const headers = { authorization: `Bearer ${token}` };
  return async () => {
    const api = apiClient(url, token);
    const { path } = await api.call('POST', `/api/vm/${vmId}/desktop-ticket`, DesktopTicket);
    await api.close();
    const socket = new WebSocket(new URL(path, url.replace('http', 'ws')), ['binary'], { headers });
    const link = webSocketLink(socket);
    await Promise.all([once(socket, 'open'), begin(link)]);
    return link;
  };
}

/** The viewer's part of the opening of RFB without a password, as far as the bytes of the source. */
async function takeWelcome(link: Link): Promise<void> {
  const steps = [
    { bytes: 12, answer: Buffer.from('RFB 003.008\n') },
    { bytes: 2, answer: Buffer.from([1]) },
    { bytes: 4, answer: null },
  ];
  for (const { bytes, answer } of steps) {
    await receive(link, bytes);
    if (answer) link.send(answer);
  }
}

async function measure(context: Context, { direct, relay, tunnel, whole }: Ways): Promise<Figure[]> {
  const [directSpeed, tunnelSpeed] = await throughput(context, direct, tunnel);
  const [besideWholeSpeed, wholeSpeed] = await throughput(context, direct, whole);
  const [relaySpeed, besideRelaySpeed] = await throughput(context, relay, tunnel);
  const [near, far] = [await direct(), await whole()];
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
  const [byTcp, byTunnel] = ['TCP from the source', "WebSocket through the controller's server"];
  const byWhole = `${byTunnel} and a runner's socket`;
  return [
    figureOf({
      name: 'tunnel.throughput',
      unit: 'MiB/s',
      goal: { atLeast: 0.8 },
      baseline: { what: byTcp, samples: directSpeed },
      airlock: { what: byTunnel, samples: tunnelSpeed },
    }),
    figureOf({
      name: 'tunnel.whole',
      unit: 'MiB/s',
      goal: null,
      baseline: { what: byTcp, samples: besideWholeSpeed },
      airlock: { what: byWhole, samples: wholeSpeed },
    }),
    // Tells what the tunnel itself costs apart from what a plain hop through one more process costs.
    figureOf({
      name: 'tunnel.relay',
      unit: 'MiB/s',
      goal: { atLeast: 0.8 },
      baseline: { what: 'TCP through a relay in a Node process that does nothing else', samples: relaySpeed },
      airlock: { what: byTunnel, samples: besideRelaySpeed },
    }),
    figureOf({
      name: 'tunnel.echo',
      unit: 'ms',
      goal: null,
      baseline: { what: `${byTcp}, one byte there and back`, samples: directEcho },
      airlock: { what: `${byWhole}, one byte there and back`, samples: tunnelEcho },
    }),
  ];
}
