import { expect, test } from 'vitest';
import { debianSource, hasSuite, parseDeb822, parseOneLine, sourceStanza } from './apt-sources.mjs';

const deb822 = `Types: deb
# a comment in the middle
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
Enabled: no
URIs: http://off.invalid/debian
Suites: bookworm-backports
Components: main

Types: deb
URIs: https://vendor.invalid/debian/12/prod
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc=
 -----END PGP PUBLIC KEY BLOCK-----
`;

const oneLine = `# deb http://old.invalid/debian bookworm main
deb https://vendor.invalid/apt stable main
deb [arch=amd64 signed-by=/a.gpg,/b.gpg trusted=yes] http://mirror.invalid/debian/ bookworm main non-free-firmware # note
deb-src http://mirror.invalid/debian bookworm main
deb http://mirror.invalid/debian/ bookworm-updates main
`;

test('deb822: disabled stanzas are left out, inline keys are kept', () => {
  const sources = parseDeb822(deb822);
  expect(sources.map((s) => s.uris[0])).toEqual([
    'http://mirror.invalid/debian',
    'https://vendor.invalid/debian/12/prod',
  ]);
  expect(sources[1].signedBy).toContain('\n abc=\n');
  expect(hasSuite(sources, 'bookworm-backports')).toBe(false);
});

test('one line: options, comments and source packages', () => {
  const sources = parseOneLine(oneLine);
  expect(sources).toHaveLength(3);
  expect(sources[1]).toEqual({
    uris: ['http://mirror.invalid/debian/'],
    suites: ['bookworm'],
    components: ['main', 'non-free-firmware'],
    signedBy: '/a.gpg /b.gpg',
    trusted: 'yes',
  });
});

test.each([
  ['deb822', parseDeb822(deb822), 'http://mirror.invalid/debian'],
  ['one line', parseOneLine(oneLine), 'http://mirror.invalid/debian/'],
  ['vendor first', parseDeb822(deb822).toReversed(), 'http://mirror.invalid/debian'],
])('Debian itself is told from vendors: %s', (_name, sources, uri) => {
  expect(debianSource(sources, 'bookworm').uris).toEqual([uri]);
});

test('no Debian source', () => {
  expect(debianSource(parseOneLine('deb http://x.invalid/debian sid main\n'), 'bookworm')).toBeUndefined();
});

test('the new stanza reuses place and key, and reads back', () => {
  const text = sourceStanza(debianSource(parseOneLine(oneLine), 'bookworm'), 'bookworm-backports');
  expect(text).toBe(
    'Types: deb\nURIs: http://mirror.invalid/debian/\nSuites: bookworm-backports\nComponents: main\nSigned-By: /a.gpg /b.gpg\nTrusted: yes\n',
  );
  expect(hasSuite(parseDeb822(text), 'bookworm-backports')).toBe(true);
});
