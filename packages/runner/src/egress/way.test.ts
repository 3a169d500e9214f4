/** Names behind an upstream: what this host knows of them is judged; what it does not know decides nothing. */
import { createSocket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { onFault } from '@airlock/contract/errors';
import { ask } from './names.js';
import { openRecorder, openTestGateway, type Recorder, type TestGateway } from './testing.js';
import { checkOwnAndPublic, findWay, type Policy, type Route } from './way.js';

let upstream: Recorder;
let gateway: TestGateway | undefined;
/** What the host knows of a name. */
let known: Record<string, string[] | 'late'>;
let asked: string[];

beforeEach(async () => {
  upstream = await openRecorder('HTTP/1.1 204 No Content\r\n\r\n');
  known = {};
  asked = [];
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  await upstream.close();
});

async function open(route: Partial<Route> = {}): Promise<TestGateway> {
  gateway = await openTestGateway({
    ...{ upstreamUrl: `http://user:secret@127.0.0.1:${upstream.port}`, checkAddress: undefined as never, ...route },
    resolve: (host) => {
      asked.push(host);
      const found = known[host];
      if (found === 'late') return new Promise(() => undefined);
      if (!found) return Promise.reject(new Error('ENOTFOUND'));
      return Promise.resolve(found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    },
  });
  return gateway;
}

const requests = (target: string): string[] => [
  `GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
  `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
];
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);

async function statuses(target: string): Promise<number[]> {
  const all: number[] = [];
  for (const request of requests(target)) all.push(statusOf((await gateway?.send(request)) ?? ''));
  return all;
}

describe('through an upstream', () => {
  it.each([
    ...['localhost..', 'localhost...', 'a..example.com', 'x.corp', 'x.home', 'x.svc', 'x.mail', 'kubernetes.default'],
    ...[
      'x.cluster.local',
      'x.internal',
      'x.lan',
      'x.home.arpa',
      'x.invalid',
      'x.test',
      'x.onion',
      'x.alt',
      'x.private',
    ],
    ...[
      'metadata',
      '0251.0376.0251.0376',
      '0xa9fea9fe',
      '2852039166',
      '[::ffff:169.254.169.254]',
      '[64:ff9b::a9fe:a9fe]',
    ],
  ])('%s is refused by its name, before the upstream or anybody is asked', async (host) => {
    await open();
    expect(await statuses(`${host}:8080`)).toEqual([403, 403]);
    expect([upstream.recordings, asked]).toEqual([[], []]);
  });

  it.each([
    [['169.254.169.254']],
    [['10.0.0.1']],
    [['127.0.0.1']],
    [['::1']],
    [['fd00:ec2::254']],
    [['::ffff:10.0.0.1']],
    [['64:ff9b::a00:1']],
    [['1.1.1.1', '192.168.0.1']],
    [['2606:4700::1111', 'fe80::1']],
    [['198.18.0.1', '10.0.0.1']],
  ])('a name that leads to %j is refused', async (addresses) => {
    known = { 'rebind.example.com': addresses };
    await open();
    expect(await statuses('rebind.example.com:8080')).toEqual([403, 403]);
    expect(upstream.recordings).toEqual([]);
  });

  it.each([
    ['nothing', undefined],
    ['a false address alone', ['198.18.3.4', '198.19.0.1']],
    ['public addresses', ['1.1.1.1', '2606:4700::1111', '64:ff9b::101:101']],
  ])('one of which this host finds %s is asked for by its name', async (_name, addresses) => {
    if (addresses) known = { 'shop.example.com': addresses };
    await open();
    expect(statusOf((await gateway?.send(requests('shop.example.com:8080')[0] ?? '')) ?? '')).toBe(204);
    expect(upstream.recordings.map(({ bytes }) => bytes.toString().split('\r\n')[0])).toEqual([
      'GET http://shop.example.com:8080/ HTTP/1.1',
    ]);
  });

  it('one that a silent server is asked for waits for a short time, and no other name waits for it', async () => {
    known = { 'late.example.com': 'late', 'private.example.com': ['10.0.0.1'] };
    await open();
    const order: string[] = [];
    const late = Array.from({ length: 20 }, async () => {
      const answer = await gateway?.send(requests('late.example.com:8080')[0] ?? '');
      order.push('late');
      return statusOf(answer ?? '');
    });
    expect(await statuses('private.example.com:8080')).toEqual([403, 403]);
    expect(order).toEqual([]);
    expect(new Set(await Promise.all(late))).toEqual(new Set([204]));
    // Twenty connections, one question.
    expect(asked.filter((name) => name === 'late.example.com')).toHaveLength(1);
  });
});

it('a name that is not there is told to the guest, and is no fault that somebody has to look into', async () => {
  const faults: unknown[] = [];
  onFault((_id, error) => faults.push(error));
  const { send } = await open({ upstreamUrl: null });
  for (const request of requests('nowhere.example.com:443')) expect(statusOf(await send(request))).toBe(404);
  expect(faults).toEqual([]);
});

describe.each(['direct', 'upstream'] as const)('AIRLOCK_ALLOWED_PRIVATE_HOSTS, %s', (mode) => {
  const route = (): Partial<Route> => ({
    ...(mode === 'direct' && { upstreamUrl: null }),
    allowedPrivateHosts: ['sso.corp', '.acme.example.com'],
  });

  it.each(['other.corp', 'acme.example.com', 'x.evil.example.com'])('does not name %s', async (host) => {
    known = { [host]: ['10.0.0.5'] };
    await open(route());
    expect(await statuses(`${host}:8080`)).toEqual([403, 403]);
    expect(upstream.recordings).toEqual([]);
  });

  it('names no loopback, link-local or metadata address', async () => {
    known = { 'sso.corp': ['127.0.0.1'], 'x.acme.example.com': ['169.254.169.254'], 'y.acme.example.com': ['::1'] };
    await open(route());
    for (const host of Object.keys(known)) expect(await statuses(`${host}:8080`)).toEqual([403, 403]);
    expect(upstream.recordings).toEqual([]);
  });
});

it.each(['sso.corp', 'login.acme.example.com'])('an upstream is asked for %s, which is an exception', async (host) => {
  known = { [host]: ['10.0.0.5'] };
  const { reroute } = await open();
  expect(await statuses(`${host}:8080`)).toEqual([403, 403]);
  const upstreamUrl = `http://user:secret@127.0.0.1:${upstream.port}`;
  const route: Route = { upstreamUrl, directHosts: [], allowedPrivateHosts: ['sso.corp', '.acme.example.com'] };
  // As a running VM gets to know them.
  expect(reroute(route)).toBe(true);
  expect(reroute({ ...route })).toBe(false);
  expect(statusOf((await gateway?.send(requests(`${host}:8080`)[0] ?? '')) ?? '')).toBe(204);
  expect(upstream.recordings).toHaveLength(1);
});

it('dials an exception directly at its private address, and nobody else there', async () => {
  const policy: Policy = {
    route: { upstreamUrl: null, directHosts: [], allowedPrivateHosts: ['sso.corp'] },
    ...{ resolve: () => Promise.resolve([{ address: '10.0.0.5', family: 4 }]), judged: () => Promise.resolve([]) },
    checkAddress: checkOwnAndPublic,
  };
  await expect(findWay('CONNECT', 'sso.corp:443', policy)).resolves.toMatchObject({ upstreamUrl: null });
  await expect(findWay('CONNECT', 'shop.example.com:443', policy)).rejects.toMatchObject({ code: 'egress_refused' });
});

it('judges what one question was answered, when another is not', async () => {
  const server = createSocket('udp4');
  server.on('message', (question, from) => {
    const end = question.indexOf(0, 12) + 5;
    // Type A only; the question for IPv6 addresses is left without an answer.
    if (question.readUInt16BE(end - 4) !== 1) return;
    const head = Buffer.from([...question.subarray(0, 2), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1]);
    server.send(Buffer.concat([head, question.subarray(12, end), answer]), from.port, from.address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  expect(await ask('half.example.com', [`127.0.0.1:${server.address().port}`])).toEqual(['10.0.0.1']);
  server.close();
  await once(server, 'close');
});

it.each(['8.8.4.4', '64:ff9b::808:404', '2a00::7'])('does not dial %s where that is this host', (address) => {
  const at = (one: string): NetworkInterfaceInfo => ({ address: one }) as NetworkInterfaceInfo;
  const own = { lo: [at('127.0.0.1')], eth0: [at('8.8.4.4'), at('2a00::7')] };
  expect(() => checkOwnAndPublic(address, 'x.example.com', 443, own)).toThrow(`${address} is this host`);
  expect(checkOwnAndPublic(address, 'x.example.com', 443, { lo: own.lo })).toBeUndefined();
});

describe.each(['1.1.1.1', '2606:4700::1111', '64:ff9b::101:101'])('with the public address %s', (open) => {
  const entry = (address: string): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 });

  it.each(['10.0.0.1', '::1', 'fd12::1', '198.18.0.4', '64:ff9b::7f00:1', '64:ff9b:1::101:101', '::ffff:1.1.1.1'])(
    '%s is never dialled, and keeps the name from nobody',
    async (forbidden) => {
      for (const addresses of [
        [forbidden, open],
        [open, forbidden],
      ]) {
        const { lookup } = await findWay('CONNECT', 'rebind.example.com:443', {
          ...{ route: { upstreamUrl: null, directHosts: [] }, judged: () => Promise.resolve([]) },
          ...{ resolve: () => Promise.resolve(addresses.map(entry)), checkAddress: checkOwnAndPublic },
        });
        const dialled: unknown[] = [];
        lookup?.('rebind.example.com', { all: true }, (_error, all) => dialled.push(all));
        lookup?.('rebind.example.com', {}, (_error, one) => dialled.push(one));
        expect(dialled).toEqual([[entry(open)], open]);
      }
    },
  );
});
