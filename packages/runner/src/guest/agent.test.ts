/** The channel to the agent and the wait for readiness, against a small server in the agent's place. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { deadlineHeader, startLimit } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { GuestHealth } from '@airlock/contract/guest';
import { RunnerStatus } from '@airlock/contract/runner';
import type { Address } from '../lib/device.js';
import { createStatusStore } from '../lib/status.js';
import { createGuestAgent } from './agent.js';
import { waitUntilReady, type ReadinessEvents } from './readiness.js';

const token = 'secret-agent-token-secret-agent-token';
const servers: net.Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) (server as Server).closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

const at = (port: number) => (): Address => ({ host: '127.0.0.1', port });

const serveHttp = (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> =>
  listen(createServer(answer));

const desktop = { display: true, vnc: true, windowManager: true, terminal: true, browser: true };
const health: GuestHealth = {
  agentVersion: '1',
  generation: 1,
  vmId: null,
  uptimeMs: 1,
  desktop,
  ready: true,
  error: null,
};

function recorder(): { seen: string[]; events: ReadinessEvents } {
  const seen: string[] = [];
  const note = (what: string) => () => void seen.push(what);
  return {
    seen,
    events: {
      ...{ vnc: note('vnc'), agent: note('agent'), configured: note('configured') },
      part: (name) => void seen.push(name),
      notYet: () => undefined,
    },
  };
}

describe('waiting for readiness', () => {
  it('goes through its stages, whatever comes between', async () => {
    const down = { display: true, vnc: false, windowManager: false, terminal: false, browser: false };
    const coming = { ...health, ready: false, desktop: down };
    // A browser that comes and goes is news once.
    const withBrowser = { ...coming, desktop: { ...down, browser: true } };
    const first = { ...health, generation: 0, ready: false, desktop: null };
    const answers = [null, 401, first, coming, withBrowser, coming, withBrowser, health];
    let asked = 0;
    const port = await serveHttp((request, response) => {
      const answer = answers[Math.min(asked++, answers.length - 1)];
      if (answer === null) return void request.socket.destroy();
      response.statusCode = answer === 401 ? 401 : 200;
      response.end(JSON.stringify(answer));
    });
    let knocks = 0;
    const vnc = await listen(
      net.createServer((socket) => {
        socket.on('error', () => socket.destroy());
        knocks += 1;
        if (knocks === 1) socket.destroy();
        else socket.write('RFB 003.008\n');
      }),
    );
    const { seen, events } = recorder();
    const agent = createGuestAgent(at(port), token);
    await waitUntilReady(agent, at(vnc), events, new AbortController().signal);
    agent.close();
    const rest = ['windowManager', 'terminal'];
    expect(seen.filter((what) => what !== 'vnc')).toEqual(['agent', 'configured', 'display', 'browser', ...rest]);
    expect(seen).toContain('vnc');
  });

  it("ends with the agent's own error", async () => {
    const error = { code: 'config_drive_invalid', message: 'no valid slot', hint: '' } as const;
    const port = await serveHttp(
      (_request, response) => void response.end(JSON.stringify({ ...health, ready: false, error })),
    );
    const waiting = waitUntilReady(
      createGuestAgent(at(port), token),
      null,
      recorder().events,
      new AbortController().signal,
    );
    await expect(waiting).rejects.toMatchObject(error);
  });

  it('gives up when told to, also while nobody answers', async () => {
    const port = await listen(net.createServer((socket) => void socket.resume()));
    const signal = AbortSignal.timeout(100);
    await expect(
      waitUntilReady(createGuestAgent(at(port), token), null, recorder().events, signal),
    ).rejects.toMatchObject({
      name: expect.stringMatching(/^(Timeout|Abort)Error$/) as string,
    });
    expect(signal.aborted).toBe(true);
  });
});

/** Says `first`, and then a byte every so often, until the other side hangs up. */
function drip(to: ServerResponse | net.Socket, first: string): void {
  to.write(first);
  const timer = setInterval(() => to.write(' '), 20);
  to.once('close', () => clearInterval(timer));
}

describe('a guest that drips', () => {
  it('is asked again, as one that does not answer, until the wait has its end', async () => {
    let asked = 0;
    const port = await serveHttp((_request, response) => {
      asked += 1;
      drip(response, '{');
    });
    let knocks = 0;
    const vnc = await listen(
      net.createServer((socket) => {
        knocks += 1;
        socket.on('error', () => socket.destroy());
        drip(socket, 'RFB ');
      }),
    );
    const over = new AbortController();
    const agent = createGuestAgent(at(port), token);
    const waiting = waitUntilReady(agent, at(vnc), recorder().events, over.signal);
    await expect.poll(() => Math.min(asked, knocks), { timeout: 20_000 }).toBeGreaterThan(1);
    over.abort(new Error('enough'));
    await expect(waiting).rejects.toBeInstanceOf(Error);
    agent.close();
  }, 30_000);

  it.each(['reload', 'powerOff', 'health'] as const)('does not hold %s beyond its signal', async (verb) => {
    const port = await serveHttp((_request, response) => drip(response, '{'));
    const agent = createGuestAgent(at(port), token);
    const { signal } = startLimit(200, () => new Error('it took longer than 200 ms'));
    await expect(agent[verb](signal)).rejects.toMatchObject({
      code: 'guest_unreachable',
      message: expect.stringContaining('(it took longer than 200 ms)') as string,
    });
    agent.close();
  });
});

describe('a guest that answers with an upgrade', () => {
  const serveUpgrade = (): Promise<number> =>
    listen(
      net.createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.once('data', () => socket.write('HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'));
      }),
    );

  it.each(['reload', 'powerOff', 'health'] as const)('has answered %s with nothing', async (verb) => {
    const agent = createGuestAgent(at(await serveUpgrade()), token);
    await expect(agent[verb](new AbortController().signal)).rejects.toMatchObject({ code: 'guest_unreachable' });
    agent.close();
  });

  it('has answered a call that is passed on with nothing', async () => {
    const agent = createGuestAgent(at(await serveUpgrade()), token);
    const failed: unknown[] = [];
    const port = await serveHttp((request, response) => {
      agent.forward(request, response, '/x').catch((error: unknown) => {
        failed.push(error);
        response.destroy();
      });
    });
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
    expect(failed).toMatchObject([{ code: 'guest_unreachable' }]);
    agent.close();
  });
});

describe('a guest that says too much', () => {
  const mib = 1024 * 1024;
  const status: RunnerStatus = {
    ...{ vmId: 'vm_0123456789abcdef', epoch: 1, revision: 0, phase: 'starting', vmm: null, error: null },
    ...{ startedAt: 1, poweredOnAt: null, vncAt: null, agentAt: null, readyAt: null },
    runner: { pid: 1, startTicks: 1, bootId: 'b' },
    egress: { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null },
  };

  it.each([200, 500])('with status %i and 60 MiB is left after what any agent has to say', async (statusCode) => {
    let taken = 0;
    const port = await serveHttp((_request, response) => {
      response.writeHead(statusCode);
      const text = JSON.stringify({ ...health, agentVersion: 'x'.repeat(mib) });
      const say = (): void => {
        while (taken < 60 * mib && !response.destroyed) {
          taken += text.length;
          if (!response.write(text)) return void response.once('drain', say);
        }
        response.end();
      };
      say();
    });
    const agent = createGuestAgent(at(port), token);
    await expect(agent.health(new AbortController().signal)).rejects.toMatchObject({
      code: 'guest_unreachable',
      message: expect.stringContaining('without end') as string,
    });
    agent.close();
    // And what lies in the buffers of the kernel.
    expect(taken).toBeLessThan(16 * mib);
  });

  it('of why it failed leaves a small status.json', async () => {
    const details = { lastOutput: 'y'.repeat(50_000), more: Array.from({ length: 1000 }, () => 'z'.repeat(50)) };
    const error = { code: 'home_unusable', message: `\u0000${'x'.repeat(100_000)}`, hint: '', details };
    const port = await serveHttp((_request, response) => void response.end(JSON.stringify({ ...health, error })));
    const agent = createGuestAgent(at(port), token);
    const why: unknown = await waitUntilReady(agent, null, recorder().events, new AbortController().signal).catch(
      (thrown: unknown) => thrown,
    );
    agent.close();
    const folder = await mkdtemp(join(tmpdir(), 'airlock-status-'));
    const path = join(folder, 'status.json');
    const store = createStatusStore({
      path,
      initial: status,
      egress: () => status.egress,
      onError: (error) => expect.fail(String(error)),
    });
    store.update({ phase: 'failed', error: AppError.from(why).toBody() });
    await store.flush();
    const text = await readFile(path, 'utf8');
    await rm(folder, { recursive: true });
    expect(text.length).toBeLessThan(64 * 1024);
    expect(text).not.toContain('\\u0000');
    expect(RunnerStatus.parse(JSON.parse(text)).error?.code).toBe('home_unusable');
  });
});

describe('forwarding', () => {
  /** The way of a caller's request: its server passes everything on. */
  async function through(port: number, path: string, init: RequestInit = {}): Promise<Response> {
    const agent = createGuestAgent(at(port), token);
    const outer = await serveHttp((request, response) => {
      agent.forward(request, response, path).catch((error: { code: string }) => {
        if (response.headersSent) response.destroy();
        else response.writeHead(504).end(error.code);
      });
    });
    return await fetch(`http://127.0.0.1:${outer}/`, init);
  }

  it('passes method, body and answer on, and adds the token only there', async () => {
    const port = await serveHttp((request, response) => {
      response.writeHead(201, { 'x-other': "none of the caller's", 'content-type': 'text/plain' });
      response.write(`${request.method} ${request.url} ${request.headers.authorization} `);
      request.pipe(response);
    });
    const answer = await through(port, '/credentials/codex?x=1', {
      method: 'PUT',
      body: 'a body',
      headers: { 'content-type': 'application/json', authorization: 'Bearer of-the-caller', cookie: 'c=1' },
    });
    expect(answer.status).toBe(201);
    expect([answer.headers.get('content-type'), answer.headers.get('x-other')]).toEqual(['text/plain', null]);
    expect(await answer.text()).toBe(`PUT /credentials/codex?x=1 Bearer ${token} a body`);
  });

  it('streams: the first part arrives before the last is made', async () => {
    let finish: (() => void) | undefined;
    const port = await serveHttp((_request, response) => {
      response.write('first');
      finish = () => response.end('last');
    });
    const reader = (await through(port, '/events')).body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first');
    finish?.();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('last');
  });

  it.each([
    ['before it has said anything', false],
    ['in the middle of its answer', true],
  ])('ends a call %s when the time is over that the caller gave', async (_when, begun) => {
    let isOpen = false;
    const port = await serveHttp((_request, response) => {
      isOpen = true;
      response.once('close', () => (isOpen = false));
      if (begun) drip(response, 'first');
    });
    const answer = await through(port, '/checks/node', { headers: { [deadlineHeader]: '300' } });
    expect(answer.status).toBe(begun ? 200 : 504);
    if (begun) await expect(answer.text()).rejects.toThrow('terminated');
    else expect(await answer.text()).toBe('guest_unreachable');
    await expect.poll(() => isOpen).toBe(false);
  });

  it('says that the guest is unreachable', async () => {
    const answer = await through(1, '/health');
    expect(answer.status).toBe(504);
    expect(await answer.text()).toBe('guest_unreachable');
  });
});
