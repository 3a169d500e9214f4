import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GatewayOptions } from './gateway.js';
import {
  closed,
  openRecorder,
  openTestGateway,
  readExact,
  type ExactRequest,
  type Recorder,
  type TestGateway,
} from './testing.js';

const credentials = Buffer.from('user:p@ss').toString('base64');
let far: Recorder;
let gateway: TestGateway | undefined;

beforeEach(async () => {
  far = await openRecorder();
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  await far.close();
});

type Mode = 'direct' | 'upstream';
const modes: Mode[] = ['direct', 'upstream'];

/** `far` is what is reached directly, or the upstream. */
async function open(mode: Mode, options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const upstreamUrl = mode === 'upstream' ? `http://user:p%40ss@127.0.0.1:${far.port}` : null;
  gateway = await openTestGateway({ upstreamUrl, ...options });
  return gateway;
}

const url = (path = '/x'): string => `http://shop.example.com:${far.port}${path}`;
const head = (line: string, ...headers: string[]): string =>
  `${[line, `Host: shop.example.com:${far.port}`, ...headers].join('\r\n')}\r\n\r\n`;
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);

/** What reached the far side: on each connection exactly one request, and nothing after it. */
async function arrived(): Promise<ExactRequest[]> {
  await Promise.all(far.recordings.map(({ closed }) => closed));
  return far.recordings.map(({ bytes }) => {
    const { request, rest } = readExact(bytes);
    expect(rest).toHaveLength(0);
    if (request === null) throw new Error(`half a request: ${bytes.toString('latin1')}`);
    return request;
  });
}

const headersOf = ({ headers }: ExactRequest, name: string): string[] =>
  headers.filter(([other]) => other === name).map(([, value]) => value);

describe.each(modes)('a plain request, %s', (mode) => {
  it.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])(
    'smuggles nothing behind a %s with a body in chunks, nor the credentials of the next one',
    async (method) => {
      const { send } = await open(mode);
      // The next request's head, with the credentials, would complete the smuggled one.
      const hidden = `POST http://evil.example.com/ HTTP/1.1\r\nHost: evil.example.com\r\nContent-Length: 500\r\n\r\n`;
      const size = hidden.length.toString(16);
      const first = `${head(`${method} ${url()} HTTP/1.1`, 'Transfer-Encoding: chunked')}${size}\r\n${hidden}\r\n0\r\n\r\n`;
      const answers = [await send(first), await send(head(`GET ${url('/second')} HTTP/1.1`))];
      expect(Buffer.concat(far.recordings.map(({ bytes }) => bytes)).toString()).not.toContain('evil');
      expect(answers.map(statusOf)).toEqual([method === 'TRACE' ? 405 : 400, 200]);
      expect((await arrived()).map(({ url: where }) => where.replace(/^http:\/\/[^/]*/, ''))).toEqual(['/second']);
    },
  );

  it.each([
    ['Transfer-Encoding beside Content-Length', ['Transfer-Encoding: chunked', 'Content-Length: 3']],
    ['Content-Length beside Transfer-Encoding', ['Content-Length: 3', 'Transfer-Encoding: chunked']],
    ['a coding before chunked', ['Transfer-Encoding: gzip, chunked']],
    ['a coding after chunked', ['Transfer-Encoding: chunked, identity']],
    ['another coding', ['Transfer-Encoding: identity']],
    ['two Transfer-Encodings', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['chunked with a parameter', ['Transfer-Encoding: chunked;q=1']],
    ['a coding like chunked', ['Transfer-Encoding: \xa0chunked']],
    ['an empty coding', ['Transfer-Encoding:']],
    ['two lengths that differ', ['Content-Length: 3', 'Content-Length: 5']],
    ['two lengths that agree', ['Content-Length: 3', 'Content-Length: 3']],
    ['a list of lengths', ['Content-Length: 3, 3']],
    ['a signed length', ['Content-Length: +3']],
    ['a length in hexadecimal', ['Content-Length: 0x3']],
    ['an endless length', ['Content-Length: 99999999999999999999']],
    ['an empty length', ['Content-Length:']],
    ['a folded header', ['X: a', ' b']],
    ['a folded Transfer-Encoding', ['Transfer-Encoding:', '\tchunked']],
    ['a folded first header', [' X: a']],
    ['a bare LF', ['X: a\nTransfer-Encoding: chunked']],
    ['a CR in a value', ['X: a\rTransfer-Encoding: chunked']],
    ['a NUL in a value', ['X: a\0b']],
    ['a control character in a value', ['X: a\x1bb']],
    ['a space before the colon', ['Transfer-Encoding : chunked']],
    ['a header without a name', [': a']],
    ['a header without a colon', ['Content-Length 3']],
    ['two Hosts', ['Host: evil.example.com']],
  ])('with %s is refused whole', async (_name, headers) => {
    const { send } = await open(mode);
    for (const method of ['POST', 'GET']) {
      const next = head(`GET ${url('/next')} HTTP/1.1`);
      const answer = await send(Buffer.from(`${head(`${method} ${url()} HTTP/1.1`, ...headers)}abc${next}`, 'latin1'));
      expect(statusOf(answer)).toBe(400);
      expect(answer).toContain('"code":"invalid_request"');
      // It costs the connection: no word of the second one.
      expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    }
    expect(far.recordings).toEqual([]);
  });

  it.each([
    ['GET http://a.example.com/ HTTP/1.1\nHost: a.example.com\n\n', 400],
    ['GET http://a.example.com/ HTTP/1.1\r\n\r\n', 400],
    ['\r\nGET http://a.example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['GET http://a.example.com/ HTTP/2.0\r\nHost: a\r\n\r\n', 400],
    ['GET http://a.example.com/\r\nHost: a\r\n\r\n', 400],
    ['GET  http://a.example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['GET http://a.example.com/ x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['GET http://a.example.com/#x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n', 400],
    ['POST http://a.example.com/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['CONNECT a.example.com:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['CONNECT a.example.com:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde', 400],
    ['TRACE http://a.example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['PROPFIND http://a.example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['get http://a.example.com/ HTTP/1.1\r\nHost: a\r\n\r\n', 405],
    ['PRI * HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ])('that begins with %j is answered %i', async (bytes, status) => {
    const { send } = await open(mode);
    expect(statusOf(await send(bytes))).toBe(status);
    expect(far.recordings).toEqual([]);
  });

  it('that has a head without end is refused', async () => {
    const { send } = await open(mode);
    expect(statusOf(await send(head(`GET ${url()} HTTP/1.1`, `X: ${'x'.repeat(70_000)}`)))).toBe(400);
    expect(far.recordings).toEqual([]);
  });

  it.each(['POST', 'PUT', 'PATCH'])('%s passes a body in chunks on, framed anew and byte by byte', async (method) => {
    const { send } = await open(mode);
    const body = randomBytes(300_000);
    const chunks = [body.subarray(0, 1), body.subarray(1, 70_000), body.subarray(70_000)].flatMap((part) => [
      Buffer.from(`${part.length.toString(16)};a="b"\r\n`),
      part,
      Buffer.from('\r\n'),
    ]);
    const first = Buffer.from(head(`${method} ${url()} HTTP/1.1`, 'Transfer-Encoding: chunked', 'Trailer: X'));
    const answer = await send(Buffer.concat([first, ...chunks, Buffer.from('0\r\nX: trailer\r\n\r\n')]));
    expect(statusOf(answer)).toBe(200);
    const [request] = await arrived();
    expect(request?.body.equals(body)).toBe(true);
    expect(request && headersOf(request, 'transfer-encoding')).toEqual(['chunked']);
  });

  it.each([
    ['POST', 300_000],
    ['PUT', 1],
    ['PATCH', 0],
    ['DELETE', 10],
    ['GET', 0],
  ])('%s passes a body of %i bytes on', async (method, length) => {
    const { send } = await open(mode);
    const body = randomBytes(length);
    const first = Buffer.from(head(`${method} ${url()} HTTP/1.1`, `Content-Length: ${length}`));
    expect(statusOf(await send(Buffer.concat([first, body])))).toBe(200);
    const [request] = await arrived();
    expect(request?.body.equals(body)).toBe(true);
  });

  it.each(['zz\r\nabc\r\n', '3\r\nabcd\r\n', '-1\r\n', '3 \nabc\r\n'])(
    'ends with chunks that are none: %j',
    async (chunks) => {
      const { send } = await open(mode);
      const answer = await send(`${head(`POST ${url()} HTTP/1.1`, 'Transfer-Encoding: chunked')}1\r\na\r\n${chunks}`);
      expect(answer).not.toContain('200');
      await Promise.all(far.recordings.map(({ closed }) => closed));
      for (const { bytes } of far.recordings) expect(readExact(bytes).request).toBeNull();
    },
  );

  it('names the host of its URL, and keeps to itself what is for a proxy or for one connection', async () => {
    const { send } = await open(mode);
    const answer = await send(
      `GET http://SHOP.example.com.:${far.port}?q=1 HTTP/1.1\r\nHost: evil.example.com\r\nX-Keep: \xe4\r\nX-Drop: 1\r\n` +
        'Connection: keep-alive, X-Drop, Upgrade\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nTE: trailers\r\n' +
        'Proxy-Authorization: Basic aGE6aGE=\r\nProxy-Connection: keep-alive\r\n\r\n',
    );
    expect(statusOf(answer)).toBe(200);
    const [request] = await arrived();
    const authority = `shop.example.com:${far.port}`;
    expect(request?.url).toBe(mode === 'direct' ? '/?q=1' : `http://${authority}/?q=1`);
    expect(request?.headers).toEqual([
      ['host', authority],
      ['connection', 'close'],
      ...(mode === 'direct' ? [] : [['proxy-authorization', `Basic ${credentials}`]]),
      ['x-keep', Buffer.from('\xe4', 'utf8').toString('latin1')],
    ]);
  });

  it('is the only one of its connection', async () => {
    const { send } = await open(mode);
    const answer = await send(head(`GET ${url('/one')} HTTP/1.1`) + head(`GET ${url('/two')} HTTP/1.1`));
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(answer).toMatch(/^HTTP\/1\.1 200 [^]*connection: close[^]*ok$/i);
    expect((await arrived()).map(({ url: where }) => where.replace(/^http:\/\/[^/]*/, ''))).toEqual(['/one']);
  });

  it.each(['0', '100-continue', '100-Continue, x'])(
    'that expects %j is the first one, with its own body',
    async (what) => {
      const { send } = await open(mode);
      const one = head(`POST ${url('/one')} HTTP/1.1`, `Expect: ${what}`, 'Content-Length: 3');
      await send(`${one}abc${head(`POST ${url('/two')} HTTP/1.1`, 'Content-Length: 5')}12345`);
      const requests = await arrived();
      expect(requests.map((request) => String(request.body))).toEqual(['abc']);
      expect(requests.flatMap((request) => headersOf(request, 'expect'))).toEqual([]);
    },
  );

  it('of an old version is answered without chunks', async () => {
    await far.close();
    far = await openRecorder('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
    const { send } = await open(mode);
    expect(await send(head(`GET ${url()} HTTP/1.0`))).toMatch(/\r\n\r\nok$/);
  });

  it.each(['CONNECT shop.example.com:443 HTTP/1.1', 'TRACE http://shop.example.com/ HTTP/1.1', '\0'])(
    'makes nothing else of what follows it: %j',
    async (next) => {
      const { send } = await open(mode);
      await send(head(`GET ${url()} HTTP/1.1`) + head(next));
      await Promise.all(far.recordings.map(({ closed: gone }) => gone));
      expect(far.recordings.length).toBeLessThanOrEqual(1);
      for (const { bytes } of far.recordings) expect(readExact(bytes).rest).toHaveLength(0);
    },
  );

  it('does not hear of what was for a proxy alone, nor of a framing that is not its own', async () => {
    await far.close();
    far = await openRecorder(
      'HTTP/1.1 200 OK\r\nProxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\nTransfer-Encoding: chunked\r\n' +
        'Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Keep: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    );
    const { send } = await open(mode);
    const answer = await send(head(`GET ${url()} HTTP/1.1`));
    expect(answer).not.toMatch(/proxy-|x-hop/i);
    expect(answer).toMatch(/x-keep: 1[^]*\r\n2\r\nok\r\n0\r\n\r\n$/i);
  });
});

it('leaves the upstream’s credentials to the upstream, where hosts are dialled beside it', async () => {
  const beside = await openRecorder();
  const { send } = await open('upstream', { directHosts: ['beside.example.com'] });
  for (const host of ['beside.example.com', 'shop.example.com']) {
    const target = `${host}:${beside.port}`;
    expect(statusOf(await send(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n\r\n`))).toBe(200);
  }
  await beside.close();
  expect(beside.recordings.map(({ bytes }) => bytes.toString())).toEqual([expect.not.stringMatching(/proxy|Basic/i)]);
  expect((await arrived()).flatMap((request) => headersOf(request, 'proxy-authorization'))).toEqual([
    `Basic ${credentials}`,
  ]);
});

describe('limits of a guest', () => {
  it('a head that does not come to its end costs the connection', async () => {
    const { dial } = await open('direct', { limits: { headMs: 100 } });
    const slow = dial();
    slow.write('GET http://shop.example.com/ HTTP/1.1\r\nX: ');
    const drip = setInterval(() => slow.write('x'), 10);
    await closed(slow.resume());
    clearInterval(drip);
    expect(far.recordings).toEqual([]);
  });

  it('a connection without a byte is ended', async () => {
    const { dial } = await open('direct', { limits: { idleMs: 100 } });
    const idle = dial();
    idle.write(head(`CONNECT shop.example.com:${far.port} HTTP/1.1`));
    expect(String((await once(idle, 'data'))[0])).toContain('200');
    await closed(idle);
    await Promise.all(far.recordings.map(({ closed }) => closed));
  });

  it('what follows its request is not kept, and costs the connection', async () => {
    const { dial } = await open('direct');
    const flood = dial();
    flood.write(head(`GET ${url('/1')} HTTP/1.1`) + head(`GET ${url('/2')} HTTP/1.1`).repeat(1000));
    await closed(flood.resume());
    await Promise.all(far.recordings.map((one) => one.closed));
    expect(Buffer.concat(far.recordings.map(({ bytes }) => bytes)).toString()).not.toContain('/2');
  });

  it('has so many connections and no more; what is over is told, counted, and noted once', async () => {
    const noted: string[] = [];
    const { dial, send, counters } = await open('direct', {
      limits: { connections: 3 },
      onRefused: ({ code }) => noted.push(code),
    });
    const held = [dial(), dial(), dial()];
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    await expect.poll(() => counters().connections).toBe(3);
    for (let over = 0; over < 5; over += 1) {
      const answer = await send(head(`GET ${url()} HTTP/1.1`));
      expect(statusOf(answer)).toBe(503);
      expect(answer).toContain('"code":"egress_busy"');
    }
    expect(counters()).toMatchObject({ connections: 8, refused: 5 });
    expect(noted).toEqual(['egress_busy']);
    held[0]?.destroy();
    await expect.poll(async () => statusOf(await send(head(`GET ${url()} HTTP/1.1`)))).toBe(200);
    for (const socket of held) socket.destroy();
  });
});
