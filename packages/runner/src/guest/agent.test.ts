/** The channel to the agent and the wait for readiness, against a small server in the agent's place. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { GuestHealth } from '@airlock/contract/guest';
import type { Address } from '../lib/device.js';
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
    events: { vnc: note('vnc'), agent: note('agent'), configured: note('configured'), notYet: () => undefined },
  };
}

describe('waiting for readiness', () => {
  it('goes through its stages, whatever comes between', async () => {
    const answers = [null, 401, { ...health, generation: 0, ready: false }, { ...health, ready: false }, health];
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
    expect(seen.filter((what) => what !== 'vnc')).toEqual(['agent', 'configured']);
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
      response.writeHead(201, { 'x-seen': `${request.method} ${request.url} ${request.headers.authorization}` });
      request.pipe(response);
    });
    const answer = await through(port, '/credentials/codex?x=1', {
      method: 'PUT',
      body: 'a body',
      headers: { 'content-type': 'application/json', authorization: 'Bearer of-the-caller', cookie: 'c=1' },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-seen')).toBe(`PUT /credentials/codex?x=1 Bearer ${token}`);
    expect(await answer.text()).toBe('a body');
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

  it('says that the guest is unreachable', async () => {
    const answer = await through(1, '/health');
    expect(answer.status).toBe(504);
    expect(await answer.text()).toBe('guest_unreachable');
  });
});
