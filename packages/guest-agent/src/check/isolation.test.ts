import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { probeIsolation, type Attempt } from './isolation.js';

async function tcpListener(): Promise<number> {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function dnsServer(): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (query, peer) => socket.send(query, peer.port, peer.address));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  onTestFinished(() => void socket.close());
  return socket.address().port;
}

const at = (kind: Attempt['kind'], port: number, expected: Attempt['expected']): Attempt => ({
  kind,
  address: '127.0.0.1',
  port,
  expected,
});

it('is content when only what may answer answers', async () => {
  const result = await probeIsolation([at('tcp', await tcpListener(), 'reached'), at('tcp', 1, 'unreachable')], 500);
  expect(result.ok).toBe(true);
  expect(result.output.split('\n')).toEqual([
    expect.stringContaining('connected'),
    expect.stringContaining('ECONNREFUSED'),
  ]);
});

it.each([
  ['a TCP port that must be closed', 'tcp', tcpListener],
  ['a name server', 'dns', dnsServer],
] as const)('finds %s', async (_what, kind, start) => {
  const result = await probeIsolation([at(kind, await start(), 'unreachable')], 2000);
  expect(result.ok).toBe(false);
  expect(result.output).toMatch(/^WRONG: /);
});

it('is not content without the gateway', async () => {
  expect(await probeIsolation([at('tcp', 1, 'reached')], 500)).toMatchObject({ ok: false });
});

it('takes silence of a name server for out of reach', async () => {
  const silent = createSocket('udp4');
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  const result = await probeIsolation([at('dns', silent.address().port, 'unreachable')], 200);
  expect(result).toMatchObject({ ok: true, output: expect.stringContaining('no answer') });
});
