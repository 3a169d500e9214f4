import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fetchPinned, googleChrome } from './chrome.js';

const content = 'a package';
const sha256 = createHash('sha256').update(content).digest('hex');
const { signal } = new AbortController();
let folder: string;
let server: Server;
let url: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-chrome-'));
  server = createServer((request, response) => {
    response.writeHead(request.url === '/chrome.deb' ? 200 : 404).end(content);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/chrome.deb`;
  // apt may have a proxy; this address is not behind it.
  process.env['no_proxy'] = '127.0.0.1';
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

it('takes the file whose checksum is the expected one', async () => {
  const target = join(folder, 'chrome.deb');
  await fetchPinned({ url, sha256 }, target, signal);
  expect(await readFile(target, 'utf8')).toBe(content);
});

it('refuses another file, and leaves nothing of it', async () => {
  await expect(fetchPinned({ url, sha256: '0'.repeat(64) }, join(folder, 'chrome.deb'), signal)).rejects.toMatchObject({
    code: 'image_build_failed',
    message: expect.stringContaining(`SHA-256 ${sha256}, not 000`),
  });
  expect(await readdir(folder)).toEqual([]);
});

it('says what to do when it cannot be fetched', async () => {
  await expect(fetchPinned({ url: `${url}x`, sha256 }, join(folder, 'chrome.deb'), signal)).rejects.toMatchObject({
    code: 'image_build_failed',
    hint: expect.stringContaining('Build without `--browser`'),
  });
  expect(await readdir(folder)).toEqual([]);
});

it('pins a version, its address and a checksum together', () => {
  expect(googleChrome.url).toContain(`_${googleChrome.version}-1_amd64.deb`);
  expect(googleChrome.sha256).toMatch(/^[0-9a-f]{64}$/);
});
