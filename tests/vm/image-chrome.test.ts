/**
 * `--browser google-chrome` with a stand-in for Google's package, which no test fetches: it has the same name, places, alternatives
 * and habits, and starts Debian's Chromium under Chrome's name. What is real is everything around it: fetched and compared,
 * installed in the root, checked, and started by the boot gate. `npm run soak -- --only image` runs it; fetching and comparing are
 * tested beside image-builder/chrome.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { run } from '@airlock/contract/process';
import { buildImage } from '@airlock/image-builder/build';
import { googleChrome, type PinnedBrowser } from '@airlock/image-builder/chrome';
import { runGate } from '@airlock/image-builder/gate/gate';
import { imageHome } from '../support/home.js';

const { version } = googleChrome;

/** Path in the package → mode and content. */
const content: Readonly<Record<string, [number, string]>> = {
  'DEBIAN/control': [
    0o644,
    `Package: google-chrome-stable\nVersion: ${version}-1\nArchitecture: amd64\nMaintainer: nobody <nobody@airlock.test>
Depends: ca-certificates, fonts-liberation, wget, xdg-utils\nDescription: stand-in for Google Chrome\n`,
  ],
  'DEBIAN/postinst': [
    0o755,
    `#!/bin/sh
set -e
update-alternatives --install /usr/bin/x-www-browser x-www-browser /usr/bin/google-chrome-stable 200
echo 'deb [arch=amd64] https://chrome.airlock.test/ stable main' >/etc/apt/sources.list.d/google-chrome.list
`,
  ],
  'etc/cron.daily/google-chrome': [0o755, '#!/bin/sh\n'],
  'opt/google/chrome/chrome-sandbox': [0o4755, 'a setuid program'],
  'opt/google/chrome/chrome': [
    0o755,
    `#!/bin/bash
for word; do [ "$word" != --version ] || { echo 'Google Chrome ${version} '; exit; }; done
exec -a /opt/google/chrome/chrome /usr/lib/chromium/chromium.debian "$@"
`,
  ],
  'usr/bin/google-chrome-stable': [0o755, '#!/bin/sh\nexec /opt/google/chrome/chrome "$@"\n'],
};

let home: string;
let server: Server;
let browser: PinnedBrowser;

beforeAll(async () => {
  home = await mkdtemp('/var/tmp/airlock-t-');
  await cp(homePaths(imageHome()).aptCache, homePaths(home).aptCache, { recursive: true });
  const tree = join(home, 'package');
  for (const [path, [mode, text]] of Object.entries(content)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
    await chmod(join(tree, path), mode);
  }
  const deb = join(home, 'chrome.deb');
  await run('dpkg-deb', ['--root-owner-group', '--build', tree, deb]);
  const bytes = await readFile(deb);
  server = createServer((_request, response) => response.end(bytes)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // apt may have a proxy; this address is not behind it.
  process.env['no_proxy'] = '127.0.0.1';
  browser = {
    name: 'google-chrome',
    version,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/chrome.deb`,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
});
afterAll(async () => {
  server.close();
  await rm(home, { recursive: true });
});

it('makes an image whose browser is the other one, checked and started', async ({ signal }) => {
  const imagesFolder = homePaths(home).images.folder;
  const said: string[] = [];
  const { manifest, current } = await buildImage({
    ...{ imagesFolder, force: false, clis: { from: 'pins' }, browser, gate: runGate, signal },
    write: (line) => void said.push(line),
  }).catch((error: unknown) => {
    throw new Error(said.join('\n'), { cause: error });
  });
  expect(current).toBe(true);
  expect(manifest).toMatchObject({ browser: 'google-chrome', versions: { chromium: version }, gate: { passed: true } });
  expect(manifest.checks).toEqual(
    expect.arrayContaining([
      'the browser is a real one',
      'Google Chrome reads the policies of the image',
      'Google Chrome does not update itself',
      'a web address opens in the visible browser',
      'no setuid or setgid program',
    ]),
  );
  const sbom = await readFile(join(imagesFolder, manifest.id, 'sbom.spdx.json'), 'utf8');
  expect(sbom).toContain('google-chrome-stable');
}, 900_000);
