import { describe, expect, it } from 'vitest';
import { parseUsernet, userNetdev } from './user-network.js';

it.each([
  [[8080, 5901], ',hostfwd=tcp:127.0.0.1:0-:8080,hostfwd=tcp:127.0.0.1:0-:5901'],
  [[8080], ',hostfwd=tcp:127.0.0.1:0-:8080'],
])('the network that forwards %s has exactly its ways in and out', (forwards, expected) => {
  expect(userNetdev('net0', { type: 'user', forwards, gatewaySocket: '/a, b/e.sock' }, '/a, b')).toBe(
    `user,id=net0,restrict=on,ipv6=off${expected},guestfwd=tcp:10.0.2.100:3128-cmd:nc -N -U e.sock`,
  );
});

describe('info usernet', () => {
  const both = [
    'Hub -1 (net0):',
    '  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ',
    '  TCP[ESTABLISHED]   31       127.0.0.1 40001       10.0.2.15  8080     0     0',
    '  TCP[HOST_FORWARD]  14       127.0.0.1 38123       10.0.2.15  5901     0     0\r',
    '  TCP[HOST_FORWARD]  13       127.0.0.1 46211       10.0.2.15  8080     0     0',
    '  UDP[236 sec]       33       10.0.2.15 37000        10.0.2.3    53     0     0',
  ].join('\r\n');
  const agentOnly = both.split('\n').slice(4).join('\n');

  it('names both ports', () => {
    expect([...parseUsernet(both, [8080, 5901])].sort()).toEqual([
      [5901, 38123],
      [8080, 46211],
    ]);
  });

  it('needs no VNC port in a VM without desktop', () => {
    expect([...parseUsernet(agentOnly, [8080])]).toEqual([[8080, 46211]]);
  });

  it.each([
    ['', [8080]],
    [agentOnly, [8080, 5901]],
  ])('a missing forward is an error', (text, forwards) => {
    expect(() => parseUsernet(text, forwards)).toThrow(expect.objectContaining({ code: 'vmm_failed' }));
  });
});
