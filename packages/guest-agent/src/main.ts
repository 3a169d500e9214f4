/**
 * Entry of the OAuth agent. On the boot's critical path, so it does only what must come first: listen, and read the
 * config drive while the rest of the program loads.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { readDrive } from './config/drive.js';
import { log } from './log.js';
import { readSettings, type AgentSettings } from './settings.js';

interface Agent {
  handle(request: IncomingMessage, response: ServerResponse): void;
  end(): Promise<void>;
}

async function load(settings: AgentSettings): Promise<Agent> {
  const firstRead = readDrive(settings.configDevice).catch((error: unknown) => error as Error);
  const { createAgent } = await import('./agent.js');
  return createAgent(settings, await firstRead);
}

const isOfThisMachine = ({ localAddress, remoteAddress }: Socket): boolean =>
  remoteAddress === undefined || remoteAddress === localAddress || remoteAddress.startsWith('127.');

function main(): void {
  const settings = readSettings(process.env);
  // The modes that the agent gives its files are the ones they get.
  process.umask(0o022);
  let agent: Promise<Agent> | undefined;
  const server = createServer((request, response) => {
    agent?.then(
      (loaded) => loaded.handle(request, response),
      () => response.destroy(),
    );
  });
  const { listenFd, host, port } = settings;
  // The runner comes from outside: programs of the VM shall find nobody to fill with connections.
  if (listenFd !== null) server.on('connection', (socket) => isOfThisMachine(socket) && socket.destroy());
  server.listen(listenFd === null ? { host, port } : { fd: listenFd }, () => {
    log('listening', { port: (server.address() as AddressInfo).port, msSinceStart: Math.round(performance.now()) });
    agent = load(settings);
    agent.catch((error: unknown) => {
      log(`The agent cannot start: ${error instanceof Error ? error.stack : String(error)}`);
      process.exit(1);
    });
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      const exit = (): never => process.exit(0);
      Promise.resolve(agent)
        .then((loaded) => loaded?.end())
        .then(exit, exit);
    });
  }
}

main();
