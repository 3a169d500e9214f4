import { describe, expect, it } from 'vitest';
import { isPrivateAddress } from '@airlock/contract/address';
import { checkPrivate, checkTarget, isLocalName, parseTarget } from './target.js';

describe('names', () => {
  it.each([
    'localhost',
    'a.localhost',
    'metadata.google.internal',
    'printer.local',
    'nas.lan',
    'router',
    'x.home.arpa',
    ...['sso.corp', 'x.home', 'x.mail', 'db.default.svc', 'kubernetes.default', 'x.cluster', 'api.consul', 'x.docker'],
    ...['x.invalid', 'x.test', 'x.onion', 'x.alt', 'x.private', 'x.intranet', 'x.localdomain', '1.0.0.10.in-addr.arpa'],
  ])('%s is a local name', (name) => {
    expect(isLocalName(name)).toBe(true);
  });

  it('a domain that was taken out of the public DNS is a local name, one that stayed is not', () => {
    expect(['x.mutual', 'x.shaw', 'x.guardian', 'x.volkswagen'].filter(isLocalName)).toHaveLength(4);
    expect(['x.wed', 'x.google', 'x.zip', 'x.example'].filter(isLocalName)).toEqual([]);
  });

  it.each(['claude.ai', 'localhost.example.com', 'internal.example.com', 'xn--80ak6aa92e.xn--p1ai', 'a_b.dev'])(
    '%s is not a local name',
    (name) => {
      expect(isLocalName(name)).toBe(false);
    },
  );
});

describe('an exception', () => {
  it.each([
    '10.0.0.5',
    '172.16.1.1',
    '192.168.1.1',
    '100.64.0.1',
    '198.18.0.7',
    'fd12::1',
    '64:ff9b::a00:5',
    '8.8.8.8',
  ])('may be at %s', (address) => {
    expect(checkPrivate(address, 'sso.corp', 443)).toBeUndefined();
  });

  it.each([
    ...['127.0.0.1', '0.0.0.0', '169.254.169.254', '100.100.100.200', '168.63.129.16', '224.0.0.1', '192.0.0.192'],
    ...['::1', '::', 'fe80::1', 'fd00:ec2::254', '::ffff:127.0.0.1', '64:ff9b::a9fe:a9fe', 'ff02::1', ''],
  ])('is not at %s', (address) => {
    expect(() => checkPrivate(address, 'sso.corp', 443)).toThrow(expect.objectContaining({ code: 'egress_refused' }));
    expect(isPrivateAddress(address)).toBe(false);
  });

  it.each(['sso.corp:443', 'deep.sso.corp:8443', 'intranet:443', '10.0.0.5:443', '[::ffff:8.8.8.8]:443'])(
    'lets %s through when it is named',
    (url) => {
      const target = parseTarget('CONNECT', url);
      if (target.host.includes('::')) expect(() => checkTarget(target, ['.corp'])).toThrow('not a public address');
      else expect(checkTarget(target, ['.corp', 'intranet', '10.0.0.5'])).toBeUndefined();
      expect(() => checkTarget(target)).toThrow(expect.objectContaining({ code: 'egress_refused' }));
    },
  );

  it.each(['sso.corp:22', 'localhost..corp:443', 'corp:443', '127.0.0.1:443', '10.0.0.6:443', 'x.corp.evil:443'])(
    'is not %s',
    (url) => {
      expect(() => checkTarget(parseTarget('CONNECT', url), ['.corp', '10.0.0.5', '127.0.0.1'])).toThrow(
        expect.objectContaining({ code: 'egress_refused' }),
      );
    },
  );
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
    ...['localhost..:443', 'LOCALHOST...:443', 'a..example.com:443', '.example.com:443', `${'a'.repeat(64)}.com:443`],
    ...[
      `${'a.'.repeat(130)}com:443`,
      'x.corp:443',
      'x.home:443',
      'db.svc:443',
      '0x7f.1:443',
      '[64:ff9b::a9fe:a9fe]:80',
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
});
