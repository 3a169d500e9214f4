/** `airlock doctor --network`, as people run it: users whose upstreams are good, or bad in one way each, before a simulated internet. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { run } from '@airlock/contract/process';
import { providers } from '@airlock/contract/provider/registry';
import { openTunnel } from '@airlock/runner/egress/upstream';
import { tryNetwork } from '@airlock/runner/egress/trial';
import { shakeHands } from '@airlock/runner/egress/trial-tls';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { openUpstreamProxy, type UpstreamProxy } from '../support/fake-internet/upstream-proxy.js';
import { text } from '../support/fake-internet/web.js';
import { freePort } from '../support/port.js';

const bin = fileURLToPath(new URL('../../packages/cli/bin/airlock.mjs', import.meta.url));
const hostsOfAll = new Set(Object.values(providers).flatMap(({ login }) => login?.hosts ?? []));
const never = new AbortController().signal;

interface Report {
  ready: boolean;
  ways: {
    user: string | null;
    upstream: string | null;
    hosts: { host: string; providers: string[]; result: string; found: string; todo: string }[];
    exit: { result: string; found: string; todo: string } | null;
  }[];
}

let home: string;
let internet: FakeInternet;
let locked: UpstreamProxy;
let extraCa: string;
/** By the name of a user: the port of their upstream. */
let ports: Record<string, number>;
const servers: Server[] = [];
const sockets = new Set<Socket>();

/** A server that does one thing with each connection. */
async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket)));
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A proxy that answers each CONNECT so, and does that with the connection afterwards. */
const proxy = (answer: string, after: (socket: Socket) => void): Promise<number> =>
  serve((socket) =>
    socket.once('data', () => {
      socket.write(`HTTP/1.1 ${answer}\r\n\r\n`);
      socket.once('data', () => after(socket));
    }),
  );

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-n-'));
  internet = await createFakeInternet({
    hosts: {
      'ip.example': ({ path }) => text(path === '/500' ? 500 : 200, answers[path] ?? '203.0.113.9\n'),
    },
  });
  extraCa = join(home, 'ca.pem');
  await writeFile(extraCa, internet.caPem);
  locked = await openUpstreamProxy({ ports: [0], userName: 'other', password: 'other', interceptorPort: 1 });
  ports = {
    good: internet.port,
    locked: locked.ports[0] ?? 0,
    dead: await freePort(),
    resets: await serve((socket) => socket.resetAndDestroy()),
    silent: await serve(() => undefined),
    denies: await proxy('403 Forbidden', () => undefined),
    cuts: await proxy('200 OK', (socket) => socket.resetAndDestroy()),
    plain: await proxy('200 OK', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
  };
  await playController();
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  await Promise.all([internet.close(), locked.close()]);
  await rm(home, { recursive: true });
});

const answers: Record<string, string> = {
  '/json': '{"ip":"2001:db8::9","country":"XX"}',
  '/page': '<html>203.0.113.9</html>',
  '/zone': 'fe80::1%eth0',
  '/other': '{"ip":"somewhere"}',
  '/long': ' '.repeat(5000),
};

/** Knows the users, and nothing else. */
async function playController(): Promise<void> {
  const createdAt = new Date(0).toISOString();
  const users = Object.entries(ports).map(([name, proxyPort]) => ({
    ...{ id: newId('usr'), name, role: 'user', proxyPort, createdAt, state: 'active' },
  }));
  const server = createHttp((request, response) => {
    const known = request.headers.authorization === 'Bearer the-token' && request.url === '/api/users';
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ users }));
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { controllerFile, token } = homePaths(home);
  await writeFile(controllerFile, JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid }));
  await writeFile(token, 'the-token\n');
}

async function doctor(args: string[], env: Record<string, string>): ReturnType<typeof run> {
  const result = await run(process.execPath, [bin, 'doctor', '--network', ...args], {
    cleanEnv: true,
    env: { PATH: process.env['PATH'], HOME: home, AIRLOCK_HOME: home, ...env },
    okCodes: [0, 1],
    timeoutMs: 90_000,
  });
  expect(`${result.stdout}${result.stderr}`).not.toContain(internet.password);
  return result;
}

async function report(env: Record<string, string>): Promise<Report & { exitCode: number }> {
  const { exitCode, stdout } = await doctor(['--json'], env);
  return { exitCode, ...(JSON.parse(stdout) as Report) };
}

/** What was found of all hosts of a way, each once. */
const of = (found: Report, user: string | null) => {
  const way = found.ways.find((one) => one.user === user);
  return {
    hosts: new Set(way?.hosts.map(({ host }) => host)),
    results: [...new Set(way?.hosts.map(({ result }) => result))],
    words: [...new Set(way?.hosts.map((host) => `${host.found} ${host.todo}`))].join('\n'),
    exit: way?.exit,
  };
};

describe('doctor --network', () => {
  it('tells what is wrong with the upstream of each user, for every host of every provider', async () => {
    const env = { AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate, AIRLOCK_EXTRA_CA: extraCa };
    const found = await report({ ...env, AIRLOCK_EXIT_URL: 'https://ip.example/' });
    expect(found.ways.map(({ user }) => user)).toEqual(Object.keys(ports));
    const expected: Record<string, [result: string, words: RegExp, exit: string]> = {
      good: ['middlebox', /reached; "Airlock test CA", by AIRLOCK_EXTRA_CA/, 'ok'],
      locked: [
        'upstream_auth_failed',
        /refused the user name or password.*AIRLOCK_UPSTREAM_PROXY/,
        'upstream_auth_failed',
      ],
      dead: ['upstream_unreachable', /it refuses connections/, 'upstream_unreachable'],
      resets: ['upstream_unreachable', /it reset the connection/, 'upstream_unreachable'],
      silent: ['upstream_unreachable', /it does not answer/, 'upstream_unreachable'],
      denies: ['egress_failed', /answers 403 for claude\.ai:443/, 'egress_failed'],
      cuts: ['tls_failed', /TLS fails \(ECONNRESET\).*let the host through/, 'tls_failed'],
      plain: ['tls_failed', /TLS fails/, 'tls_failed'],
    };
    for (const [user, [result, words, exit]] of Object.entries(expected)) {
      expect.soft(of(found, user), user).toMatchObject({
        ...{ hosts: hostsOfAll, results: [result] },
        ...{ words: expect.stringMatching(words) as string, exit: { result: exit } },
      });
    }
    expect(of(found, 'good').exit).toEqual({ result: 'ok', found: '203.0.113.9', todo: '' });
    expect(found.ways[0]?.upstream).toBe(`127.0.0.1:${internet.port}`);
    expect([found.ready, found.exitCode]).toEqual([false, 1]);
  });

  it('names who opens TLS without being trusted, and says what to do', async () => {
    const { stdout, exitCode } = await doctor([], { AIRLOCK_UPSTREAM_PROXY: internet.upstreamUrl() });
    expect(stdout).toMatch(
      /^\(all\) +127\.0\.0\.1:\d+ +all +all \d+ +tls_untrusted +its certificate, by "Airlock test CA"/m,
    );
    expect(stdout).toMatch(/^→ .*AIRLOCK_EXTRA_CA/m);
    expect(exitCode).toBe(1);
  });

  it.each([
    ['https://ip.example/', 'ok', /^203\.0\.113\.9$/],
    ['https://ip.example/json?a=b', 'ok', /^2001:db8::9$/],
    ['http://ip.example/json', 'ok', /^2001:db8::9$/],
    ['https://ip.example/page', 'no_address', /neither an IP address nor JSON/],
    ['https://ip.example/zone', 'no_address', /neither an IP address nor JSON/],
    ['https://ip.example/other', 'no_address', /neither an IP address nor JSON/],
    ['https://ip.example/long', 'no_address', /more than 4096 bytes/],
    ['http://ip.example/500', 'no_address', /answers 500/],
    ['http://127.0.0.1:8080/', 'egress_refused', /not a public address/],
  ])('asks %s where a way comes out', async (exitUrl, result, words) => {
    const trial = { directHosts: [], allowedPrivateHosts: [], extraCaPem: internet.caPem };
    const [way] = await tryNetwork({ upstreams: [internet.upstreamUrl()], hosts: [], exitUrl, ...trial });
    expect(way?.exit).toMatchObject({ result, found: expect.stringMatching(words) as string });
  });

  it('asks without an upstream, at the address that was judged', async () => {
    const server = createHttp(({ headers, url }, response) =>
      response.end(url === '/a?b' ? '203.0.113.7' : headers.host),
    );
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    const exitUrl = `http://ip.example:${(server.address() as AddressInfo).port}/a?b`;
    const trial = { upstreams: [null], hosts: [], directHosts: [], allowedPrivateHosts: [], extraCaPem: null, exitUrl };
    const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    const [refused] = await tryNetwork(trial, { resolve });
    expect(refused?.exit).toMatchObject({ result: 'egress_refused' });
    const [way] = await tryNetwork(trial, { resolve, checkAddress: () => undefined });
    expect(way?.exit).toEqual({ result: 'ok', found: '203.0.113.7', todo: '' });
  });

  it('tries the first port where no controller runs, and says so', async () => {
    const env = { AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate, AIRLOCK_EXTRA_CA: extraCa };
    const { stdout, stderr, exitCode } = await doctor([], {
      ...env,
      AIRLOCK_HOME: join(home, 'none'),
      AIRLOCK_PROXY_PORT_BASE: String(internet.port),
    });
    expect(stderr).toContain('only the first port is tried');
    expect(stdout).toContain(`127.0.0.1:${internet.port}`);
    expect([stdout.trim().split('\n').at(-1), exitCode]).toEqual(['Every way lets everything through.', 0]);
  });

  it('asks nobody for an address unless a setting says whom', async () => {
    const seen = internet.requests.length;
    const env = { AIRLOCK_UPSTREAM_PROXY: internet.upstreamUrl(), AIRLOCK_EXTRA_CA: extraCa };
    expect(of(await report(env), null)).toMatchObject({ results: ['middlebox'], exit: null });
    expect(internet.requests.slice(seen)).toEqual([]);
  });

  it('judges hosts that go out directly as the gateway does', async () => {
    const [first = ''] = hostsOfAll;
    const env = { AIRLOCK_UPSTREAM_PROXY: internet.upstreamUrl(), AIRLOCK_EXTRA_CA: extraCa };
    const found = await report({ ...env, AIRLOCK_DIRECT_HOSTS: 'ip.example', AIRLOCK_EXIT_URL: 'https://ip.example/' });
    expect(found.ways[0]?.hosts.find(({ host }) => host === first)?.result).toBe('middlebox');
    expect(of(found, null).exit).toMatchObject({ result: 'not_found' });
  });

  it('calls a host reached when nobody is in between', async () => {
    const authorities = { all: [internet.caPem], extra: new Set<string>() };
    const way = await openTunnel(internet.upstreamUrl(), 'claude.ai:443', never);
    const { socket, middlebox } = await shakeHands(way, 'claude.ai', authorities, never);
    socket.destroy();
    expect(middlebox).toBe(null);
  });
});
