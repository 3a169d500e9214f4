import { describe, expect, it } from 'vitest';
import { parseDeb822, parseOneLine } from '../../../scripts/apt-sources.mjs';
import { networkOptions, oneEach, sourcesFor } from './apt-sources.js';

const deb822 = `Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
`;

describe('package sources of this host', () => {
  it('are one for each address, with the key where it is a file', () => {
    expect(oneEach(parseDeb822(deb822))).toEqual([
      {
        uri: 'http://mirror.example/debian',
        suites: ['bookworm', 'bookworm-updates'],
        components: ['main', 'contrib'],
        signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
      },
      {
        uri: 'http://mirror.example/debian-security',
        suites: ['bookworm-security'],
        components: ['main'],
        signedBy: '',
      },
    ]);
  });

  it('take an inline key for no key', () => {
    const text =
      'Types: deb\nURIs: http://a/debian\nSuites: s\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n';
    expect(oneEach(parseDeb822(text))).toEqual([
      { uri: 'http://a/debian', suites: ['s'], components: ['main'], signedBy: '' },
    ]);
  });
});

describe('sourcesFor', () => {
  it('reuses mirror, key and security mirror', () => {
    expect(sourcesFor('trixie', oneEach(parseDeb822(deb822)))).toEqual([
      'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian trixie main',
      'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian trixie-updates main',
      'deb http://mirror.example/debian-security trixie-security main',
    ]);
  });

  it('prefers the mirror that ends in /debian, else the one whose suite has updates', () => {
    const read = (text: string): ReturnType<typeof oneEach> => oneEach(parseOneLine(text));
    const vendor = read('deb http://vendor.example/apt bookworm main');
    const plain = read('deb http://a.example/mirror bookworm main\ndeb http://a.example/mirror bookworm-updates main');
    expect(sourcesFor('trixie', [...vendor, ...read('deb http://a.example/debian/ bookworm main')])[0]).toBe(
      'deb http://a.example/debian/ trixie main',
    );
    expect(sourcesFor('trixie', plain)[0]).toBe('deb http://a.example/mirror trixie main');
  });

  it('says so when there is no Debian mirror', () => {
    expect(() => sourcesFor('trixie', [])).toThrowError(/None of the 0 package sources/);
  });
});

it('keeps only the apt options that decide how a mirror is reached', () => {
  const dump = `APT "";
Acquire "";
Acquire::Languages "";
Acquire::http "";
Acquire::http::Proxy "http://proxy:3128";
Acquire::http::Proxy::mirror.example "DIRECT";
Acquire::https::CaInfo "/etc/ca.pem";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Packages::MetaKey "x";
`;
  expect(networkOptions(dump)).toEqual([
    'Acquire::http::Proxy "http://proxy:3128";',
    'Acquire::http::Proxy::mirror.example "DIRECT";',
    'Acquire::https::CaInfo "/etc/ca.pem";',
    'Acquire::Retries "3";',
  ]);
});
