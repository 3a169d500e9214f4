import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http, { type IncomingMessage } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openGateway, type Gateway, type GatewayOptions } from './gateway.js';

const upstreamAuth = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
let folder: string;
let gateway: Gateway | undefined;
let errors: string[];
const servers: net.Server[] = [];
const sockets = new Set<Socket>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-egress-'));
  errors = [];
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  await rm(folder, { recursive: true });
});

async function open(options: Partial<GatewayOptions>): Promise<Gateway> {
  gateway = await openGateway({
    ...{ socketPath: join(folder, 'e.sock'), upstreamUrl: null, directHosts: [] },
    onUpstreamError: (error) => errors.push(error.code),
    // A host that finds out nothing about names.
    resolve: () => Promise.reject(new Error('ENOTFOUND')),
    ...options,
  });
  return gateway;
}

/** Direct mode with an invented Internet: every name is a server of this test, and loopback counts as public. */
const openWorld: Partial<GatewayOptions> = {
  resolve: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
  checkAddress: () => undefined,
};

async function listen<T extends net.Server>(server: T): Promise<number> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

/** An upstream proxy that wants credentials, and answers every tunnel and request itself, but drops hosts called so. */
function fakeUpstream(seen: string[]): Promise<number> {
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.statusCode = request.headers['proxy-authorization'] === upstreamAuth ? 200 : 407;
    response.end('from upstream');
  });
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    seen.push(`CONNECT ${request.url}`);
    if (request.url?.startsWith('dropped.')) socket.destroy();
    else if (request.headers['proxy-authorization'] !== upstreamAuth) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n');
    } else {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(socket);
    }
  });
  return listen(server);
}

interface Answer {
  status: number;
  body: string;
  socket: Socket;
}

/** As a guest: CONNECT through the gateway. */
async function tunnel(target: string): Promise<Answer> {
  const request = http.request({ socketPath: join(folder, 'e.sock'), method: 'CONNECT', path: target, agent: false });
  request.end();
  const [response, socket, head] = (await once(request, 'connect')) as [IncomingMessage, Socket, Buffer];
  sockets.add(socket);
  socket.unshift(head);
  if (response.statusCode === 200) return { status: 200, body: '', socket };
  let body = '';
  for await (const chunk of socket) body += String(chunk);
  return { status: response.statusCode ?? 0, body, socket };
}

/** As a guest: a plain request through the gateway. */
async function get(url: string): Promise<{ status: number; body: string }> {
  const request = http.request({
    socketPath: join(folder, 'e.sock'),
    path: url,
    agent: false,
    headers: { host: new URL(url).host },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, body };
}

describe('direct', () => {
  it('reaches a server, counts the bytes, and passes its end on', async () => {
    const port = await listen(net.createServer((socket) => void socket.end('hello')));
    const { counters } = await open(openWorld);
    const { status, socket } = await tunnel(`example.com:${port}`);
    expect(status).toBe(200);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('hello');
    await once(socket, 'close');
    await expect.poll(() => counters()).toMatchObject({ connections: 1, refused: 0, lastError: null });
    expect(counters().bytesDown).toBeGreaterThan(5);
    expect(counters().bytesUp).toBeGreaterThan(10);
  });

  it('ends the connection to the server when the guest leaves', async () => {
    const port = await listen(net.createServer((socket) => void socket.resume()));
    await open(openWorld);
    const { socket } = await tunnel(`example.com:${port}`);
    const outer = [...sockets].find((other) => other.localPort === port);
    socket.destroy();
    await expect.poll(() => outer?.closed).toBe(true);
  });

  it('forwards plain HTTP', async () => {
    const port = await listen(
      http.createServer((request, response) => response.end(`${request.headers.host} ${request.url}`)),
    );
    await open(openWorld);
    expect(await get(`http://example.com:${port}/x?y=1`)).toEqual({ status: 200, body: `example.com:${port} /x?y=1` });
  });

  it.each(['127.0.0.1', 'localhost', '2130706433', '[::1]', 'metadata.google.internal', '169.254.169.254'])(
    'refuses %s',
    async (host) => {
      const refused: string[] = [];
      const { counters } = await open({ onRefused: (error) => refused.push(error.code) });
      const answers = [await tunnel(`${host}:4000`), await get(`http://${host}:4000/`)];
      for (const { status, body } of answers) {
        expect(status).toBe(403);
        expect(JSON.parse(body)).toMatchObject({ error: { code: 'egress_refused' } });
      }
      expect(counters()).toMatchObject({ refused: 2, lastError: null });
      expect(refused).toEqual(['egress_refused', 'egress_refused']);
    },
  );

  it('asks for an address once, and dials that one', async () => {
    const port = await listen(net.createServer((socket) => void socket.end('right')));
    let asked = 0;
    const answers = ['127.0.0.1', '127.0.0.2'];
    await open({ ...openWorld, resolve: () => Promise.resolve([{ address: answers[asked++] ?? '', family: 4 }]) });
    const { socket } = await tunnel(`rebind.example.com:${port}`);
    expect(String((await once(socket, 'data'))[0])).toBe('right');
    expect(asked).toBe(1);
  });

  it('says so when a name does not exist', async () => {
    await open({ resolve: () => Promise.reject(new Error('ENOTFOUND')) });
    expect(await tunnel('nowhere.example.com:443')).toMatchObject({ status: 404 });
  });
});

describe('through an upstream', () => {
  it('adds the credentials, for tunnels and plain requests', async () => {
    const seen: string[] = [];
    const port = await fakeUpstream(seen);
    const { counters } = await open({ upstreamUrl: `http://user:p%40ss@127.0.0.1:${port}` });
    const { status, socket } = await tunnel('claude.ai:443');
    expect(status).toBe(200);
    socket.write('ping');
    expect(String((await once(socket, 'data'))[0])).toBe('ping');
    expect(await get('http://mirror.example/debian')).toEqual({ status: 200, body: 'from upstream' });
    expect(seen).toEqual(['CONNECT claude.ai:443', 'GET http://mirror.example/debian']);
    expect(counters().lastError).toBeNull();
  });

  it.each(['127.0.0.1:443', '0x7f.1:443', 'localhost:443', 'example.com:25'])(
    'refuses %s before asking it',
    async (target) => {
      const seen: string[] = [];
      await open({ upstreamUrl: `http://user:p%40ss@127.0.0.1:${await fakeUpstream(seen)}` });
      expect(await tunnel(target)).toMatchObject({ status: 403 });
      expect(seen).toEqual([]);
    },
  );

  it('leaves it out for direct hosts', async () => {
    const seen: string[] = [];
    const port = await listen(net.createServer((socket) => void socket.end('direct')));
    const upstreamUrl = `http://user:p%40ss@127.0.0.1:${await fakeUpstream(seen)}`;
    await open({ ...openWorld, upstreamUrl, directHosts: ['.example.com'] });
    const { socket } = await tunnel(`api.example.com:${port}`);
    expect(String((await once(socket, 'data'))[0])).toBe('direct');
    expect(seen).toEqual([]);
  });

  it.each([
    ['a wrong password', (port: number) => `http://user:wrong@127.0.0.1:${port}`, 'upstream_auth_failed'],
    ['no password', (port: number) => `http://127.0.0.1:${port}`, 'upstream_auth_failed'],
    ['nobody there', () => 'http://user:secret@127.0.0.1:1', 'upstream_unreachable'],
  ])('%s is told to the guest and recorded, without credentials', async (_name, url, code) => {
    const upstreamUrl = url(await fakeUpstream([]));
    const { counters, tryUpstream } = await open({ upstreamUrl });
    for (const { status, body } of [await tunnel('claude.ai:443'), await get('http://claude.ai/')]) {
      expect(status).toBe(502);
      expect(JSON.parse(body)).toMatchObject({ error: { code } });
    }
    expect(counters().lastError).toMatchObject({ code });
    expect(JSON.stringify(counters().lastError)).toContain(new URL(upstreamUrl).host);
    expect(JSON.stringify(counters().lastError)).not.toMatch(/wrong|secret|user:/);

    const before = errors.length;
    await tryUpstream(['login.example'], new AbortController().signal);
    expect(errors).toHaveLength(before);
    expect(new Set(errors)).toEqual(new Set([code]));
  });

  it('is not blamed for a 407, or for breaking off, of the other end, which it passes on', async () => {
    let answer = 'HTTP/1.1 407 No\r\nproxy-authenticate: Basic realm="upstream"\r\ncontent-length: 0\r\n\r\n';
    const server = net.createServer((socket) => {
      socket.once('data', (head) => {
        socket.end(head.toString().startsWith('CONNECT ') ? 'HTTP/1.1 200 OK\r\n\r\n' : answer);
      });
    });
    const { counters } = await open({ upstreamUrl: `http://user:right@127.0.0.1:${await listen(server)}` });
    const answers = [await get('http://evil.example/')];
    answer = '';
    answers.push(await get('http://evil.example/'));
    answer = 'no HTTP\r\n\r\n';
    answers.push(await get('http://evil.example/'));
    for (const { status, body } of answers) {
      expect(status).toBe(502);
      expect(JSON.parse(body)).toMatchObject({ error: { code: 'egress_failed' } });
    }
    expect([errors, counters().lastError]).toEqual([[], null]);
  });

  it('tells failures that come by turns once a minute each', async () => {
    let now = 0;
    await open({ upstreamUrl: `http://user:wrong@127.0.0.1:${await fakeUpstream([])}`, now: () => now });
    const turns = async (): Promise<void> => {
      for (let turn = 0; turn < 10; turn += 1) {
        await tunnel('login.example:443');
        await tunnel('dropped.example:443');
      }
    };
    await turns();
    expect(errors).toEqual(['upstream_auth_failed', 'upstream_unreachable']);
    now = 59_999;
    await turns();
    expect(errors).toHaveLength(2);
    now = 60_000;
    await turns();
    expect(errors).toHaveLength(4);
  });

  it('is tried with the hosts that come with it, but those dialled directly', async () => {
    const seen: string[] = [];
    const port = await fakeUpstream(seen);
    const hosts = ['login.example', 'direct.example', 'other.example'];
    const good = await open({
      upstreamUrl: `http://user:p%40ss@127.0.0.1:${port}`,
      directHosts: ['direct.example'],
    });
    await good.tryUpstream(hosts, new AbortController().signal);
    expect(good.counters().lastError).toBeNull();
    expect(seen.toSorted()).toEqual(['CONNECT login.example:443', 'CONNECT other.example:443']);
    await good.close();
    const bad = await open({ upstreamUrl: `http://user:wrong@127.0.0.1:${port}` });
    await bad.tryUpstream(hosts, new AbortController().signal);
    expect(errors).toEqual(['upstream_auth_failed']);
  });

  it.each([
    ['one host but not another works', ['dropped.example', 'login.example'], 'p%40ss', []],
    [
      'one host and refuses the password for another says so',
      ['dropped.example', 'login.example'],
      'wrong',
      ['upstream_auth_failed'],
    ],
    ['every host cannot be reached', ['dropped.example', 'dropped.example.net'], 'p%40ss', ['upstream_unreachable']],
  ])('that drops %s', async (_name, hosts, password, expected) => {
    const port = await fakeUpstream([]);
    const { tryUpstream } = await open({ upstreamUrl: `http://user:${password}@127.0.0.1:${port}` });
    await tryUpstream(hosts, new AbortController().signal);
    expect(errors).toEqual(expected);
  });
});

describe('another route', () => {
  const through = (port: number, password = 'p%40ss') => `http://user:${password}@127.0.0.1:${port}`;

  it('is taken by what comes from then on, and what stands goes on', async () => {
    const [before, after]: [string[], string[]] = [[], []];
    const { reroute } = await open({ upstreamUrl: through(await fakeUpstream(before)) });
    const { socket } = await tunnel('claude.ai:443');
    expect(reroute({ upstreamUrl: through(await fakeUpstream(after)), directHosts: [] })).toBe(true);
    expect(await tunnel('chatgpt.com:443')).toMatchObject({ status: 200 });
    expect(await get('http://mirror.example/')).toMatchObject({ status: 200 });
    socket.write('ping');
    expect(String((await once(socket, 'data'))[0])).toBe('ping');
    expect([before, after]).toEqual([
      ['CONNECT claude.ai:443'],
      ['CONNECT chatgpt.com:443', 'GET http://mirror.example/'],
    ]);
  });

  it('may have other direct hosts, or no upstream at all', async () => {
    const seen: string[] = [];
    const upstreamUrl = through(await fakeUpstream(seen));
    const target = `api.example.com:${await listen(net.createServer((socket) => void socket.end('direct')))}`;
    const { reroute } = await open({ ...openWorld, upstreamUrl });
    for (const route of [
      { upstreamUrl, directHosts: ['.example.com'] },
      { upstreamUrl: null, directHosts: [] },
    ]) {
      expect(reroute(route)).toBe(true);
      const { socket } = await tunnel(target);
      expect(String((await once(socket, 'data'))[0])).toBe('direct');
    }
    expect(seen).toEqual([]);
  });

  it('is the first for a gateway that is closed, which reaches nothing before', async () => {
    const seen: string[] = [];
    const { counters, reroute, tryUpstream } = await open({
      ...{ ...openWorld, closed: true },
      upstreamUrl: through(await fakeUpstream(seen)),
    });
    await tryUpstream(['login.example'], new AbortController().signal);
    for (const url of ['claude.ai:443', '127.0.0.1:80']) expect((await tunnel(url)).status).toBe(403);
    expect([seen, counters().refused, counters().lastError]).toEqual([[], 2, null]);
    expect(reroute({ upstreamUrl: through(await fakeUpstream(seen)), directHosts: [] })).toBe(true);
    expect((await tunnel('claude.ai:443')).status).toBe(200);
    expect(seen).toEqual(['CONNECT claude.ai:443']);
  });

  it('that is the one in force is none', async () => {
    const route = { upstreamUrl: through(1), directHosts: ['a.example', '.b.example'] };
    const { reroute } = await open(route);
    expect(reroute({ ...route, directHosts: [...route.directHosts] })).toBe(false);
  });

  it('begins without the troubles of the one before, and those that come late are not its own', async () => {
    let answer = (): void => undefined;
    const slow = http.createServer();
    const asked = new Promise<void>((resolve) => {
      slow.on('connect', (_request, socket: Socket) => {
        answer = () => void socket.end('HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n');
        resolve();
      });
    });
    const { counters, reroute, tryUpstream } = await open({ upstreamUrl: through(await fakeUpstream([]), 'wrong') });
    await tunnel('claude.ai:443');
    expect(counters().lastError).toMatchObject({ code: 'upstream_auth_failed' });
    expect(reroute({ upstreamUrl: through(await listen(slow)), directHosts: [] })).toBe(true);
    expect(counters().lastError).toBeNull();
    const late = tunnel('claude.ai:443');
    await asked;
    expect(reroute({ upstreamUrl: through(await fakeUpstream([])), directHosts: [] })).toBe(true);
    answer();
    // Told to whoever asked.
    expect(JSON.parse((await late).body)).toMatchObject({ error: { code: 'upstream_auth_failed' } });
    await tryUpstream(['login.example'], new AbortController().signal);
    expect(counters().lastError).toBeNull();
    expect(errors).toEqual(['upstream_auth_failed']);
  });
});

it('closes every connection and removes its socket', async () => {
  const port = await listen(net.createServer((socket) => void socket.resume()));
  const opened = await open(openWorld);
  const { socket } = await tunnel(`example.com:${port}`);
  const closed = once(
    socket.on('error', () => socket.destroy()),
    'close',
  );
  await opened.close();
  await closed;
  await expect(tunnel('example.com:443')).rejects.toThrow('ENOENT');
});
