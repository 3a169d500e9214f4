import { expect, test } from 'vitest';
import { baseUrl, isOwnOrigin, originOfHost } from './origin.js';

const local = { host: '127.0.0.1', port: 4000, publicUrl: undefined };
const published = { ...local, publicUrl: 'https://airlock.example' };
const elsewhere = { ...local, host: '10.1.2.3' };
const everywhere = { ...local, host: '0.0.0.0' };

test.each([
  ['its address', local, '127.0.0.1:4000', 'http://127.0.0.1:4000'],
  ['its name', local, 'localhost:4000', 'http://localhost:4000'],
  ['in capitals', local, 'LOCALHOST:4000', 'http://localhost:4000'],
  ['IPv6', local, '[::1]:4000', 'http://[::1]:4000'],
  ['the default port', { ...local, port: 80 }, 'localhost', 'http://localhost'],
  ['a listen address of its own', { ...local, host: '10.1.2.3' }, '10.1.2.3:4000', 'http://10.1.2.3:4000'],
  ['an address not listened on', local, '10.1.2.3:4000', undefined],
  ['any address when it listens on all', everywhere, '10.1.2.3:4000', 'http://10.1.2.3:4000'],
  ['a name when it listens on all', everywhere, 'evil.example:4000', undefined],
  ['a foreign name', local, 'evil.example:4000', undefined],
  ['a name that ends like its own', local, 'evil-localhost:4000', undefined],
  ['the other end of a tunnel: ssh -L 8080:localhost:4000', local, 'localhost:8080', 'http://localhost:8080'],
  ['such a tunnel by its address', local, '127.0.0.1:4001', 'http://127.0.0.1:4001'],
  ['such a tunnel beside a public name', published, 'localhost:8080', 'http://localhost:8080'],
  ['such a tunnel at the default port', local, '127.0.0.1', 'http://127.0.0.1'],
  ['such a tunnel at the default port, named', local, '[::1]:80', 'http://[::1]'],
  ['such a tunnel when it listens on all', everywhere, 'localhost:8080', 'http://localhost:8080'],
  [
    'such a tunnel to a port that is published',
    { ...elsewhere, publicUrl: 'http://localhost:80' },
    '[::1]:8080',
    'http://[::1]:8080',
  ],
  ['loopback at a foreign port when it listens elsewhere', elsewhere, 'localhost:8080', undefined],
  ['loopback at its own port when it listens elsewhere', elsewhere, 'localhost:4000', 'http://localhost:4000'],
  ['an address that it listens on, at a foreign port', { ...local, host: '10.1.2.3' }, '10.1.2.3:4001', undefined],
  ['no port that there is', local, 'localhost:65536', undefined],
  ['an address in another notation', local, '0x7f.1:4000', undefined],
  ['a name with more behind it', local, 'localhost:4000@evil.example', undefined],
  ['a path', local, 'localhost:4000/x', undefined],
  ['the public name', published, 'airlock.example', 'https://airlock.example'],
  ['the public name with its port', published, 'AIRLOCK.example:443', 'https://airlock.example'],
  ['the public name with the port of the other scheme', published, 'airlock.example:80', undefined],
  [
    'a public name at a port of its own',
    { ...local, publicUrl: 'http://a.example:8080' },
    'a.example:8080',
    'http://a.example:8080',
  ],
  ['such a name without its port', { ...local, publicUrl: 'http://a.example:8080' }, 'a.example', undefined],
  ['the public name with a port', published, 'airlock.example:4000', undefined],
  ['no header', local, undefined, undefined],
])('Host: %s', (_what, reach, host, origin) => {
  expect(originOfHost(reach, host)).toBe(origin);
});

test.each([
  ['its own page', local, 'localhost:4000', 'http://localhost:4000', true],
  ['its page under another name', local, 'localhost:4000', 'http://127.0.0.1:4000', false],
  ['another port', local, 'localhost:4000', 'http://localhost:4001', false],
  ['its page through a tunnel', local, 'localhost:8080', 'http://localhost:8080', true],
  ['a page beside that tunnel', local, 'localhost:8080', 'http://localhost:4000', false],
  ['the public page by a Host with its port', published, 'airlock.example:443', 'https://airlock.example', true],
  ['another scheme', local, 'localhost:4000', 'https://localhost:4000', false],
  ['a sandboxed page', local, 'localhost:4000', 'null', false],
  ['the public page behind a proxy that keeps Host', published, 'airlock.example', 'https://airlock.example', true],
  ['the public page behind a proxy that changes Host', published, '127.0.0.1:4000', 'https://airlock.example', true],
  ['the public name without TLS', published, 'airlock.example', 'http://airlock.example', false],
])('Origin: %s', (_what, reach, host, origin, own) => {
  expect(isOwnOrigin(reach, host, origin)).toBe(own);
});

test('the URL to give away', () => {
  expect(baseUrl(local)).toBe('http://127.0.0.1:4000');
  expect(baseUrl(everywhere)).toBe('http://127.0.0.1:4000');
  expect(baseUrl({ ...local, host: '::1' })).toBe('http://[::1]:4000');
  expect(baseUrl(published)).toBe('https://airlock.example');
});
