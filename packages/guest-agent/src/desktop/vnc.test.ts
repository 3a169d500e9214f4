import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { hasRfbBanner, isListening, tableHasListener } from './vnc.js';

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:170D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:170C 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
`;

it.each([
  ['a listener', 5901, true],
  ['a connection', 8080, false],
  ['a peer’s port', 5900, false],
  ['nothing', 22, false],
])('reads %s from the kernel’s table', (_what, port, expected) => {
  expect(tableHasListener(table, port)).toBe(expected);
});

it.each([
  ['an RFB banner', 'RFB 003.008\n', true],
  ['another greeting', 'SSH-2.0-x\r\n', false],
  ['an end without a word', '', false],
])('takes %s for what it is', async (_what, greeting, expected) => {
  const server = createServer((socket) => socket.end(greeting));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  expect(await isListening(port)).toBe(true);
  expect(await hasRfbBanner(port)).toBe(expected);
});

it('finds nobody at a closed port', async () => {
  expect(await hasRfbBanner(1)).toBe(false);
});
