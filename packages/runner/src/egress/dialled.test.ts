/** Hosts that are dialled: which of their addresses, and for how long. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import type { GatewayOptions } from './gateway.js';
import { openTestGateway } from './testing.js';
import { checkOwnAndPublic } from './way.js';

/** What a guest is answered that asks for a tunnel to a name with these addresses. */
async function answerFor(port: number, addresses: string[], checkAddress: GatewayOptions['checkAddress']) {
  const resolve = () => Promise.resolve(addresses.map((address) => ({ address, family: net.isIP(address) })));
  const gateway = await openTestGateway({ resolve, checkAddress: checkAddress as never });
  onTestFinished(() => gateway.close());
  return gateway.send(`CONNECT several.example.com:${port} HTTP/1.1\r\nHost: several.example.com:${port}\r\n\r\n`);
}

async function listen(): Promise<number> {
  const server = net.createServer((socket) => void socket.on('error', () => socket.destroy()).end('right'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Listens at all addresses, in a process that stands still, with a queue that is full: the kernel drops every further SYN. */
async function slowServer() {
  const code = `const s = require('net').createServer(() => {});
    s.listen({ host: '0.0.0.0', port: 0, backlog: 1 }, () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line);
  child.kill('SIGSTOP');
  for (let isFull = false; !isFull;) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => socket.destroy());
    onTestFinished(() => void socket.destroy());
    isFull = await Promise.race([once(socket, 'connect').then(() => false), delay(200, true)]);
  }
  const answerAfter = async (ms: number): Promise<void> => {
    await delay(ms);
    child.kill('SIGCONT');
  };
  return { port, answerAfter };
}

it.each([
  ['10.0.0.1', 'AIRLOCK_ALLOWED_PRIVATE_HOSTS'],
  ['64:ff9b::a00:1', 'AIRLOCK_ALLOWED_PRIVATE_HOSTS'],
  ['fd12::1', 'AIRLOCK_ALLOWED_PRIVATE_HOSTS'],
  ['198.18.0.7', 'AIRLOCK_UPSTREAM_PROXY'],
  ['169.254.169.254', null],
])('a name that has only %s is refused, and told the way out', async (address, setting) => {
  const answer = await answerFor(443, [address, '::1'], undefined);
  const { error } = JSON.parse(answer.slice(answer.indexOf('{'))) as { error: { message: string; hint: string } };
  expect([answer.slice(9, 12), error.message]).toEqual(['403', expect.stringContaining(address)]);
  if (setting === null) expect(error.hint).toBe('');
  else expect(error.hint).toContain(setting);
});

it.each(['::1', 'fd12::1', '10.0.0.1', '198.18.0.7', '64:ff9b::a9fe:a9fe', '169.254.169.254'])(
  'the public address of a name that has %s, too, is dialled, and that one alone',
  async (other) => {
    const port = await listen();
    // Loopback stands for the public address.
    const checkAddress: typeof checkOwnAndPublic = (address, ...rest) =>
      address === '127.0.0.1' ? undefined : checkOwnAndPublic(address, ...rest);
    for (const addresses of [
      ['127.0.0.1', other],
      [other, '127.0.0.1'],
    ])
      expect(await answerFor(port, addresses, checkAddress)).toMatch(/^HTTP\/1.1 200 .*right$/s);
  },
);

it('a host on a slow line has seconds to answer', async () => {
  const { port, answerAfter } = await slowServer();
  const startedAt = performance.now();
  // As where there is no IPv6: the other address fails at once.
  const [answer] = await Promise.all([answerFor(port, ['127.0.0.1', '::1'], () => undefined), answerAfter(700)]);
  expect(answer).toContain(' 200 ');
  expect(performance.now() - startedAt).toBeGreaterThan(700);
});
