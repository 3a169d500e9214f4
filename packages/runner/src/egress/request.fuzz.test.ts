/** Whatever a guest writes: each byte that goes out belongs to one exact request, which the policy allowed. */
import * as fc from 'fast-check';
import { fuzz } from '@airlock/contract/fixtures/fuzz';
import { afterAll, beforeAll, expect } from 'vitest';
import { checkAddress } from './target.js';
import { closed, openRecorder, openTestGateway, readExact, type Recorder, type TestGateway } from './testing.js';

const host = 'shop.example.com';
const authorization = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
let far: Recorder;
let gateways: { direct: TestGateway; upstream: TestGateway };
/** Requests that went through whole. */
let passed = 0;

beforeAll(async () => {
  far = await openRecorder();
  const options = {
    // Only this host is one that the policy allows, besides addresses that are public.
    resolve: (name: string) => Promise.resolve([{ address: name === host ? '127.0.0.1' : '10.0.0.1', family: 4 }]),
    checkAddress: (...[address, name, port]: Parameters<typeof checkAddress>) =>
      name === host ? undefined : checkAddress(address, name, port),
  };
  const upstreamUrl = `http://user:p%40ss@127.0.0.1:${far.port}`;
  gateways = { direct: await openTestGateway(options), upstream: await openTestGateway({ ...options, upstreamUrl }) };
});
afterAll(async () => {
  await Promise.all([gateways.direct.close(), gateways.upstream.close(), far.close()]);
  // Inputs that are all refused would show nothing; but for one that is played again.
  if (process.env['TEST_FUZZ_PATH'] === undefined && passed < 10)
    throw new Error(`Only ${passed} requests were passed on.`);
});

const hosts = [
  host,
  host,
  host,
  `${host}.`,
  'SHOP.example.com',
  '10.0.0.1',
  'other.example.com',
  'x.corp',
  'localhost..',
  'user@shop',
];
const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PRI',
  'get',
  'POST\t',
  'CONNECT',
];
const names = [
  'Content-Length',
  'Transfer-Encoding',
  'Host',
  'Connection',
  'Expect',
  'Upgrade',
  'TE',
  'Trailer',
  'X',
  'Cookie',
];
const oddNames = [
  ' Content-Length',
  'Transfer-Encoding ',
  'Proxy-Authorization',
  'Transfer_Encoding',
  'Content-Length\0',
  '',
];
const values = [
  '0',
  '5',
  '5, 5',
  '+5',
  '0x5',
  'chunked',
  'gzip, chunked',
  'chunked, chunked',
  '\x0bchunked',
  'identity',
  '',
];
const oddValues = [
  'close, Host',
  'keep-alive, Content-Length',
  'Upgrade',
  'h2c',
  '100-continue',
  'a\r\n b',
  'a\nX: b',
  'a\rb',
  'a\0b',
  '\xe9',
];
const ends = ['\r\n', '\n', '\r', '\r\r\n', '\n\r', ''];

/** Mostly the first of two, so that most requests have one fault at most. */
const mostly = <T>(good: fc.Arbitrary<T>, odd: fc.Arbitrary<T>, weight = 12): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: good, weight }, { arbitrary: odd, weight: 1 });
const bytes = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array).toString('latin1'));
const anyOf = (...lists: string[][]): fc.Arbitrary<string> => fc.constantFrom(...lists.flat());

const header = fc
  .tuple(
    mostly(anyOf(names), fc.oneof(anyOf(oddNames), bytes(8))),
    mostly(fc.constantFrom(': ', ':'), anyOf([' : ', '', ':\t', '=']), 20),
    mostly(anyOf(values), fc.oneof(anyOf(oddValues), bytes(12)), 4),
  )
  .map((parts) => parts.join(''));

/** A body, with the header that frames it rightly, or not. */
const body = fc.oneof(
  fc.constant(['', '']),
  bytes(40).map((content) => [`Content-Length: ${content.length}`, content]),
  fc.tuple(fc.nat(60), bytes(40)).map(([length, content]) => [`Content-Length: ${length}`, content]),
  fc
    .tuple(
      fc.array(
        bytes(20).filter((chunk) => chunk !== ''),
        { maxLength: 4 },
      ),
      mostly(fc.constant('0\r\n\r\n'), bytes(9)),
    )
    .map(([chunks, end]) => [
      'Transfer-Encoding: chunked',
      chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('') + end,
    ]),
  bytes(60).map((content) => ['Transfer-Encoding: chunked', content]),
);

/** One after the other: what follows the first would be the one that is smuggled. */
const request = fc
  .record({
    method: mostly(fc.constantFrom(...methods.slice(0, 7)), anyOf(methods)),
    target: mostly(fc.constant(host), anyOf(hosts)),
    path: mostly(fc.constantFrom('/', '/a?b=c', ''), bytes(6)),
    version: mostly(fc.constant(' HTTP/1.1'), anyOf([' HTTP/1.0', ' HTTP/2.0', '', ' HTTP/1.1 '])),
    headers: fc.array(header, { maxLength: 3 }),
    own: mostly(fc.constant(true), fc.constant(false)),
    framed: body,
    end: mostly(fc.constant('\r\n'), anyOf(ends), 30),
  })
  .map(({ method, target, path, version, headers, own, framed: [framing = '', content = ''], end }) => {
    const authority = `${target}:PORT`;
    const lines = [
      `${method} http://${authority}${path}${version}`,
      ...(own ? [`Host: ${authority}`] : []),
      ...headers,
    ];
    return `${[...lines, ...(framing === '' ? [] : [framing])].join(end)}\r\n\r\n${content}`;
  });

const input = fc.record({
  mode: fc.constantFrom('direct' as const, 'upstream' as const),
  requests: fc.array(request, { minLength: 1, maxLength: 3 }),
  /** Bytes put in anywhere, by a share of the whole. */
  splices: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), bytes(4)), { maxLength: 1 }),
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 2 }),
});

/** As a guest: writes the parts, ends, and waits for the gateway to let go. */
async function write(gateway: TestGateway, parts: Buffer[]): Promise<void> {
  const socket = gateway.dial().resume();
  for (const part of parts) await new Promise((resolve) => socket.write(part, resolve));
  socket.end();
  await closed(socket);
}

fuzz(
  'egress: plain requests',
  input,
  async ({ mode, requests, splices, cuts }) => {
    let text = requests.join('').replaceAll('PORT', String(far.port));
    for (const [share, more] of splices) {
      const at = Math.floor(share * text.length);
      text = text.slice(0, at) + more + text.slice(at);
    }
    const all = Buffer.from(text, 'latin1');
    const at = [0, ...cuts.map((share) => Math.floor(share * all.length)).sort((a, b) => a - b), all.length];
    await write(
      gateways[mode],
      at.slice(1).map((end, index) => all.subarray(at[index], end)),
    );
    // A connection that was opened may still be on its way here.
    const recordings = far.recordings.splice(0);
    await Promise.all(recordings.map((recording) => recording.closed));
    expectExact(recordings, mode);
  },
  { runs: 500 },
);

/** At most one exact request, or the beginning of one, to the host that is allowed; with the credentials only where they belong. */
function expectExact(recordings: Recorder['recordings'], mode: 'direct' | 'upstream'): void {
  expect(recordings.length).toBeLessThanOrEqual(1);
  const sent = recordings[0]?.bytes ?? Buffer.alloc(0);
  if (sent.length === 0) return;
  const { request: whole, rest } = readExact(sent);
  expect(rest).toHaveLength(0);
  const end = sent.indexOf('\r\n\r\n');
  expect(end).toBeGreaterThan(0);
  const [first = '', ...lines] = sent.subarray(0, end).toString('latin1').split('\r\n');
  const authority = `${host}:${far.port}`;
  const start = mode === 'direct' ? '/' : `http://${authority}/`;
  expect(first).toMatch(/^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) [!-~]+ HTTP\/1\.1$/);
  expect(first.split(' ')[1]?.startsWith(start)).toBe(true);
  const of = (name: string): string[] =>
    lines.filter((line) => line.toLowerCase().startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
  expect(of('host')).toEqual([authority]);
  expect(of('connection')).toEqual(['close']);
  expect(of('proxy-authorization')).toEqual(mode === 'direct' ? [] : [authorization]);
  if (whole) passed += 1;
}
