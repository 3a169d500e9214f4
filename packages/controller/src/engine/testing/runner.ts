/** For tests: a runner that is played, as the engine of this host finds one: a folder, a socket, and processes that can be ended. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { homePaths } from '@airlock/contract/home';
import { identifyProcess, isRunning } from '@airlock/contract/process';
import type { ProcessIdentity, RunnerStatus } from '@airlock/contract/runner';

/** How a guest answers a call: as it should, by a byte every so often, not at all, or with half an answer. */
export type Manner = 'good' | 'drips' | 'silent' | 'half';

export interface PlayedRunner {
  /** Calls to the guest, in order, such as `GET /credentials`. */
  readonly asked: string[];
  /** How many of them are under way. */
  hanging(): number;
  /** Whether runner or VMM runs. */
  isUp(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Guest {
  vmId: string;
  /** How it answers the nth call (from 1 on) of this kind. */
  manner(call: string, nth: number): Manner;
  /** The whole answer to a call, when it is a good one. */
  answer(call: string): unknown;
}

/** Plays the runner of `vmId` below `home`, which is ready. Only while its guest is good, it hears that it is to stop. */
export async function playRunner(home: string, guest: Guest): Promise<PlayedRunner> {
  const paths = homePaths(home);
  await mkdir(paths.vm(guest.vmId), { recursive: true });
  const processes = [spawnSleeper(), spawnSleeper()] as const;
  const [runner, vmm] = [await identityOf(processes[0]), await identityOf(processes[1])];
  const status = readyStatus(guest.vmId, runner, vmm);
  await writeFile(paths.vmFile(guest.vmId, 'status'), JSON.stringify(status));
  const asked: string[] = [];
  let hanging = 0;

  function askGuest(call: string, response: ServerResponse): void {
    asked.push(call);
    const manner = guest.manner(call, asked.filter((one) => one === call).length);
    hanging += 1;
    response.once('close', () => (hanging -= 1));
    answerBy(manner, response, JSON.stringify(guest.answer(call)));
  }

  function ask(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = request;
    if (url.startsWith('/guest/')) return askGuest(`${method} ${url.slice('/guest'.length)}`, response);
    if (url.startsWith('/status')) {
      // A long poll for something newer is held: nothing more happens.
      if (Number(/after=(.*)$/.exec(url)?.[1] ?? -1) < status.revision) response.end(JSON.stringify(status));
    } else if (url === '/configure') {
      response.end(JSON.stringify({ changed: false }));
    } else if (url === '/stop' && guest.manner('POST /power-off', 1) === 'good') {
      for (const child of processes) child.kill('SIGKILL');
      response.writeHead(202).end('{}');
    }
  }

  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => ask(request, response));
  });
  server.listen(paths.vmFile(guest.vmId, 'socket'));
  await once(server, 'listening');
  return {
    asked,
    hanging: () => hanging,
    isUp: async () => (await Promise.all([runner, vmm].map(isRunning))).includes(true),
    async close() {
      for (const child of processes) child.kill('SIGKILL');
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function answerBy(manner: Manner, response: ServerResponse, text: string): void {
  if (manner === 'good') {
    response.end(text);
  } else if (manner === 'half') {
    response.write(text.slice(0, text.length / 2), () => response.destroy());
  } else if (manner === 'drips') {
    response.write(' ');
    const timer = setInterval(() => response.write(' '), 50);
    response.once('close', () => clearInterval(timer));
  }
}

const spawnSleeper = (): ChildProcess => spawn('sleep', ['600'], { stdio: 'ignore' });

async function identityOf({ pid = 0 }: ChildProcess): Promise<ProcessIdentity> {
  const identity = await identifyProcess(pid);
  if (!identity) throw new Error('A process that was just begun is not there.');
  return identity;
}

function readyStatus(vmId: string, runner: ProcessIdentity, vmm: ProcessIdentity): RunnerStatus {
  const now = Date.now();
  return {
    ...{ vmId, epoch: 1, revision: 1, phase: 'ready', runner, vmm, error: null },
    ...{ startedAt: now, poweredOnAt: now, vncAt: now, agentAt: now, readyAt: now },
    egress: { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null },
  };
}
