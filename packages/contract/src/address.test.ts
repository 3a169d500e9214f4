import { expect, it } from 'vitest';
import { isFalseAnswer, isListed, isPublicAddress, reached, wayOut } from './address.js';

it.each([
  ...['0.0.0.0', '10.0.2.2', '100.64.0.1', '100.100.100.200', '127.0.0.1', '127.255.255.255', '169.254.169.254'],
  ...['172.16.0.1', '172.31.255.255', '192.168.1.1', '198.18.0.1', '192.0.2.1', '224.0.0.1', '255.255.255.255'],
  ...[
    '168.63.129.16',
    '::',
    '::1',
    'fe80::1',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
  ],
  ...['0.255.255.255', '198.19.255.255', '192.0.0.1', '192.88.99.1', '198.51.100.1', '203.0.113.255', '3fff::1'],
  ...[
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::a00:1',
    '64:ff9b::',
    '64:ff9b:1::808:808',
    '64:ff9b:1:ffff::a00:1',
    'fd20:ce::254',
    'fe80::1%eth0',
  ],
  ...['64:ff9b::7f00:1', '2002:7f00:1::', '2001:0:7f00:1::', '2001:db8::1', '::127.0.0.1', 'localhost', ''],
])('%s is refused', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

it.each([
  '1.1.1.1',
  '8.8.8.8',
  '172.32.0.1',
  '172.15.255.255',
  '192.169.0.1',
  '223.255.255.255',
  '2606:4700::1111',
  '2a00::1',
  '64:ff9b::808:808',
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

it('a false answer of a resolver is known by its network', () => {
  expect(['198.18.0.1', '198.19.255.255', '198.20.0.1', '198.17.0.1', '::1'].map(isFalseAnswer)).toEqual([
    ...[true, true, false, false, false],
  ]);
});

it.each([
  ['64:ff9b::a00:5', '10.0.0.5'],
  ['64:ff9b::7f00:1', '127.0.0.1'],
  ['64:ff9b:1::a00:5', '64:ff9b:1::a00:5'],
  ['10.0.0.5', '10.0.0.5'],
])('%s leads to %s', (address, end) => {
  expect(reached(address)).toBe(end);
});

it.each<[string, RegExp]>([
  ['198.18.0.4', /AIRLOCK_UPSTREAM_PROXY .*AIRLOCK_DIRECT_HOSTS.*AIRLOCK_ALLOWED_PRIVATE_HOSTS/],
  ['10.0.0.5', /^If .*AIRLOCK_ALLOWED_PRIVATE_HOSTS\.$/],
  ['fd12::1', /^If .*AIRLOCK_ALLOWED_PRIVATE_HOSTS\.$/],
  ['64:ff9b::a00:5', /^If .*AIRLOCK_ALLOWED_PRIVATE_HOSTS\.$/],
  // No exception opens these.
  ...['127.0.0.1', '::1', '169.254.169.254', 'fd00:ec2::254', '64:ff9b:1::a00:5'].map((one): [string, RegExp] => [
    one,
    /^$/,
  ]),
])('the way out of %s', (address, words) => {
  expect(wayOut(address)).toMatch(words);
});

it('of a made-up address that stands for no name no resolver is to blame', () => {
  expect(wayOut('198.18.0.4', true)).toBe(wayOut('10.0.0.5', true));
});

it.each([
  ['claude.ai', ['claude.ai'], true],
  ['api.claude.ai', ['claude.ai'], false],
  ['api.claude.ai', ['.claude.ai'], true],
  ['evilclaude.ai', ['.claude.ai'], false],
  ['claude.ai', [], false],
  ['10.0.0.5', ['.5'], false],
])('%s in %j: %s', (host, list, expected) => {
  expect(isListed(host, list)).toBe(expected);
});
