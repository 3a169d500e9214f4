/**
 * `relay <folder> <RelayPlan>`: one process in the namespace of a VM, without any privilege. What the guest sends to its gateway goes to the
 * runner's socket in the folder; what the runner sends to the other two goes to the guest. It passes bytes on and reads none.
 * It loads nothing but Node's own modules: a VM waits for its start, and the schemas of the contract take longer than all else.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import type { RelayPlan } from './slot.js';

/** At a time; the gateway refuses earlier, and in words. */
const maxConnections = 2048;
/** Milliseconds. */
const connectMs = 10_000;

function relay(open: () => Socket): Server {
  // The end of one way is passed on, and leaves the other open.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (from) => {
    const to = open();
    const late = setTimeout(() => to.destroy(new Error('no answer')), connectMs);
    to.once('connect', () => clearTimeout(late)).once('close', () => clearTimeout(late));
    // An error on either way destroys both ends; there is nobody to be told but the two of them.
    const both = (error: unknown): void => {
      if (!error) return;
      from.destroy();
      to.destroy();
    };
    // Also one that comes when both ways have ended: the relay goes on for the others.
    from.on('error', both);
    to.on('error', both);
    pipeline(from, to, both);
    pipeline(to, from, both);
  });
  server.maxConnections = maxConnections;
  return server;
}

const [folder = '', plan = ''] = process.argv.slice(2);
process.umask(0o177);
const { host, localAddress, gateway, services } = JSON.parse(plan) as RelayPlan;
const toGateway = relay(() => connect({ path: join(folder, gateway.socket), allowHalfOpen: true }));
const listening = services.map(({ socket, port }) => {
  const server = relay(() => connect({ host, port, localAddress, noDelay: true, allowHalfOpen: true }));
  return once(server.listen(join(folder, socket)), 'listening');
});
await Promise.all([...listening, once(toGateway.listen(gateway.port, localAddress), 'listening')]);
process.stdout.write('listening\n');
