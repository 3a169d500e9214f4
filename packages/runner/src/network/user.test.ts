import { describe, expect, it } from 'vitest';
import { parseUsernet, userNetdev } from './user.js';

it.each([
  [true, ',hostfwd=tcp:127.0.0.1:0-:8080,hostfwd=tcp:127.0.0.1:0-:5901'],
  [false, ',hostfwd=tcp:127.0.0.1:0-:8080'],
])('the network with desktop=%s has exactly its ways in and out', (desktop, forwards) => {
  expect(userNetdev('net0', { desktop, gatewaySocket: 'e.sock' })).toBe(
    `user,id=net0,restrict=on,ipv6=off${forwards},guestfwd=tcp:10.0.2.100:3128-cmd:nc -N -U e.sock`,
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

  it('names both ports', () => {
    expect(parseUsernet(both, true)).toEqual({ agent: 46211, vnc: 38123 });
  });

  it('needs no VNC port in a VM without desktop', () => {
    expect(parseUsernet(both.split('\n').slice(4).join('\n'), false)).toEqual({ agent: 46211, vnc: null });
  });

  it.each([
    ['', false],
    [both.split('\n').slice(4).join('\n'), true],
  ])('a missing forward is an error', (text, desktop) => {
    expect(() => parseUsernet(text, desktop)).toThrow(expect.objectContaining({ code: 'vmm_failed' }));
  });
});
