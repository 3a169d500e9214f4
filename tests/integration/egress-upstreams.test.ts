/** The egress gateway before proxies that people really have: those of Debian, on loopback, which demand a password. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  closed,
  openRecorder,
  openTestGateway,
  readExact,
  type Recorder,
  type TestGateway,
} from '@airlock/runner/egress/testing';
import { until } from '../support/poll.js';
import { accepts, freePort } from '../support/port.js';

const squidHelper = '/usr/lib/squid/basic_ncsa_auth';

interface Proxy {
  name: string;
  program: string;
  /** Arguments, with the name of the configuration last. */
  args: string[];
  configuration: (folder: string, port: number) => string;
}

const proxies: Proxy[] = [
  {
    name: 'squid',
    program: '/usr/sbin/squid',
    args: ['-N', '-f'],
    configuration: (folder, port) => `
http_port 127.0.0.1:${port}
auth_param basic program ${squidHelper} ${folder}/passwords
auth_param basic children 1 startup=1
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
memory_cache_shared off
access_log none
cache_log ${folder}/cache.log
pid_filename ${folder}/squid.pid
coredump_dir ${folder}
netdb_filename none
pinger_enable off
visible_hostname upstream.example
dns_nameservers 127.0.0.1
shutdown_lifetime 0 seconds
server_persistent_connections off
`,
  },
  {
    name: 'tinyproxy',
    program: '/usr/bin/tinyproxy',
    args: ['-d', '-c'],
    configuration: (_folder, port) => `
Port ${port}
Listen 127.0.0.1
Timeout 60
MaxClients 20
BasicAuth airlock sesame
LogLevel Critical
`,
  },
];

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
const isThere = ({ program }: Proxy): boolean => existsSync(program);
for (const proxy of proxies) if (!isThere(proxy)) process.stderr.write(`Skipped: ${proxy.program} is not installed\n`);

describe.each(proxies.filter(isThere))('$name', ({ program, args, configuration }) => {
  let folder: string;
  let proxy: ChildProcess;
  let port: number;
  let origin: Recorder;
  /** A server beside it that VMs may not reach. */
  let forbidden: Recorder;
  let gateway: TestGateway;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airlock-upstream-'));
    // Neither runs as root; whoever starts them as root has them run as nobody.
    await chmod(folder, 0o777);
    port = await freePort();
    await writeFile(join(folder, 'conf'), configuration(folder, port));
    await writeFile(join(folder, 'passwords'), 'airlock:$1$airlock$/EbjXXkjtRapGp4HBNvxo.\n');
    const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    proxy = spawn(program, [...args, join(folder, 'conf')], { stdio: 'inherit', cwd: folder, ...user });
    await until('the proxy to listen', () => accepts(port), { timeoutMs: 20_000 });
  });
  afterAll(async () => {
    const ended = once(proxy, 'exit');
    proxy.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true });
  });

  beforeEach(async () => {
    [origin, forbidden] = [await openRecorder(), await openRecorder()];
    gateway = await open('sesame');
  });
  afterEach(async () => {
    await Promise.all([gateway.close(), origin.close(), forbidden.close()]);
  });

  /** `localhost` plays a server of the world: it is an exception, and this host finds out nothing about it. */
  const open = (password: string): Promise<TestGateway> =>
    openTestGateway({
      upstreamUrl: `http://airlock:${password}@127.0.0.1:${port}`,
      allowedPrivateHosts: ['localhost'],
      resolve: () => Promise.reject(new Error('ENOTFOUND')),
    });
  const head = (line: string, ...headers: string[]): string =>
    `${[line, `Host: localhost:${origin.port}`, ...headers].join('\r\n')}\r\n\r\n`;
  const url = (path: string): string => `http://localhost:${origin.port}${path}`;

  it('gets honest requests, byte by byte', async () => {
    const body = randomBytes(200_000);
    const framed = [
      ['Content-Length: 200000', body],
      ['Transfer-Encoding: chunked', Buffer.concat([Buffer.from('30d40\r\n'), body, Buffer.from('\r\n0\r\n\r\n')])],
    ] as const;
    for (const [framing, content] of framed) {
      const first = Buffer.from(head(`POST ${url('/take')} HTTP/1.1`, framing));
      expect(statusOf(await gateway.send(Buffer.concat([first, content])))).toBe(200);
    }
    expect(statusOf(await gateway.send(head(`GET ${url('/give')} HTTP/1.1`)))).toBe(200);
    const requests = origin.recordings.map(({ bytes }) => readExact(bytes));
    expect(requests.map(({ request, rest }) => [request?.method, request?.url, rest.length])).toEqual([
      ['POST', '/take', 0],
      ['POST', '/take', 0],
      ['GET', '/give', 0],
    ]);
    for (const { request } of requests.slice(0, 2)) expect(request?.body.equals(body)).toBe(true);
  });

  it('gets nothing that hides in a request, and gives its password to nobody', async () => {
    // Its last header takes in the first line of the next request, whose credentials then let it in.
    const hidden = `GET http://127.0.0.1:${forbidden.port}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX: `;
    const chunk = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']) {
      await gateway.send(head(`${method} ${url('/')} HTTP/1.1`, 'Transfer-Encoding: chunked') + chunk);
      await gateway.send(head(`GET ${url('/next')} HTTP/1.1`));
    }
    expect(forbidden.recordings).toEqual([]);
    const seen = origin.recordings.map(({ bytes }) => bytes.toString());
    expect(seen.filter((text) => text.startsWith('GET /next '))).toHaveLength(5);
    expect(seen).toHaveLength(5);
    expect(seen.join('')).not.toMatch(/proxy-authorization|basic/i);
  });

  it('carries a tunnel', async () => {
    const socket = gateway.dial();
    socket.write(head(`CONNECT localhost:${origin.port} HTTP/1.1`));
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
    socket.write('GET /inside HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(String((await once(socket, 'data'))[0])).toContain('ok');
    socket.destroy();
    await closed(socket);
    expect(origin.recordings.map(({ bytes }) => bytes.toString())).toEqual([
      'GET /inside HTTP/1.1\r\nHost: localhost\r\n\r\n',
    ]);
  });

  it('refuses a wrong password, which is told', async () => {
    await gateway.close();
    gateway = await open('wrong');
    // A 401 of tinyproxy to a plain request looks like one of the server behind it; both are told that of a tunnel.
    expect([401, 502]).toContain(statusOf(await gateway.send(head(`GET ${url('/')} HTTP/1.1`))));
    const answer = await gateway.send(head(`CONNECT localhost:${origin.port} HTTP/1.1`));
    expect(statusOf(answer)).toBe(502);
    expect(answer).toContain('"code":"upstream_auth_failed"');
    expect(gateway.counters().lastError).toMatchObject({ code: 'upstream_auth_failed' });
  });
});
