import { describe, expect, it } from 'vitest';
import { isLocalName, isPublicAddress } from './address.js';
import { checkTarget, isListed, parseTarget } from './target.js';

describe('addresses', () => {
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
  ])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each([
    'localhost',
    'a.localhost',
    'metadata.google.internal',
    'printer.local',
    'nas.lan',
    'router',
    'x.home.arpa',
  ])('%s is a local name', (name) => {
    expect(isLocalName(name)).toBe(true);
  });

  it.each(['claude.ai', 'localhost.example.com', 'internal.example.com'])('%s is not a local name', (name) => {
    expect(isLocalName(name)).toBe(false);
  });
});

describe('targets', () => {
  it.each([
    ['CONNECT', 'auth.openai.com:443', 'auth.openai.com', 443],
    ['CONNECT', 'AUTH.OpenAI.com.:443', 'auth.openai.com', 443],
    ['CONNECT', '[2606:4700::1111]:443', '2606:4700::1111', 443],
    ['CONNECT', '2130706433:443', '127.0.0.1', 443],
    ['GET', 'http://mirror.example/debian?x=1', 'mirror.example', 80],
    ['GET', 'http://mirror.example:8080/', 'mirror.example', 8080],
    ['GET', 'http://0x7f.1/', '127.0.0.1', 80],
    ['GET', 'http://0177.0.0.1', '127.0.0.1', 80],
    ['GET', 'http://[::ffff:127.0.0.1]/', '::ffff:7f00:1', 80],
  ])('%s %s is %s port %i', (method, url, host, port) => {
    expect(parseTarget(method, url)).toEqual({ host, port });
  });

  it.each([
    ...['claude.ai', 'claude.ai:', 'claude.ai:443/x', 'user@127.0.0.1:443', '127.0.0.1:443#@claude.ai:443', 'a b:443'],
    ...['claude.ai:99999', '%6cocalhost:443', 'claude.ai:443?x', '', ':443', '[::1:443'],
  ])('CONNECT %s is not understood', (url) => {
    expect(() => parseTarget('CONNECT', url)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it.each([
    'https://claude.ai/',
    '/index.html',
    'http://user@claude.ai/',
    'http://a\\b/',
    'ftp://claude.ai/',
    'http://',
  ])('GET %s is not understood', (url) => {
    expect(() => parseTarget('GET', url)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it.each([
    ...['127.0.0.1:443', '2130706433:443', '0x7f000001:80', '0177.1:80', '[::1]:443', '[::ffff:7f00:1]:443', '0:443'],
    ...[
      'localhost:443',
      'LOCALHOST.:443',
      'a.localhost:80',
      'metadata.google.internal:80',
      '169.254.169.254:80',
      'host:443',
    ],
    ...['mail.example.com:25', 'example.com:22', 'example.com:0', 'example.com:1023'],
  ])('%s is refused', (url) => {
    expect(() => checkTarget(parseTarget('CONNECT', url))).toThrow(expect.objectContaining({ code: 'egress_refused' }));
  });

  it.each(['claude.ai:443', 'claude.ai:80', 'example.com:8443', '1.1.1.1:443', '[2606:4700::1111]:443'])(
    '%s is let through',
    (url) => {
      expect(checkTarget(parseTarget('CONNECT', url))).toBeUndefined();
    },
  );

  it.each([
    ['claude.ai', ['claude.ai'], true],
    ['api.claude.ai', ['claude.ai'], false],
    ['api.claude.ai', ['.claude.ai'], true],
    ['evilclaude.ai', ['.claude.ai'], false],
    ['claude.ai', [], false],
  ])('%s in %j: %s', (host, list, expected) => {
    expect(isListed(host, list)).toBe(expected);
  });
});
