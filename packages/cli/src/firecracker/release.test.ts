import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile, utimes } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { installRelease, type InstallOptions } from './release.js';

const signal = new AbortController().signal;
const limits = { archive: 2 ** 20, program: 2 ** 16, total: 60_000 };
let root: string;
let folder: string;
const said: string[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'airlock-release-test-'));
  folder = join(root, 'programs');
  said.length = 0;
});
afterEach(() => rm(root, { recursive: true }));

/** A program of Linux, by hand, that writes `text` and ends. */
function writer(text: string): Buffer {
  const base = 0x400000;
  const head = Buffer.alloc(120);
  const code = Buffer.from(
    'b801000000bf01000000488d3510000000baXXXXXXXX0f05b83c00000031ff0f05'.replace('XXXXXXXX', lengthOf(text)),
    'hex',
  );
  head.write('7f454c46020101', 0, 'hex');
  head.writeUInt16LE(2, 16);
  head.writeUInt16LE(62, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(base + 120), 24);
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(64, 52);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(1, 56);
  const size = BigInt(head.length + code.length + text.length);
  head.writeUInt32LE(1, 64);
  head.writeUInt32LE(5, 68);
  head.writeBigUInt64LE(BigInt(base), 80);
  head.writeBigUInt64LE(BigInt(base), 88);
  head.writeBigUInt64LE(size, 96);
  head.writeBigUInt64LE(size, 104);
  head.writeBigUInt64LE(4096n, 112);
  return Buffer.concat([head, code, Buffer.from(text)]);
}

function lengthOf(text: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(text.length);
  return bytes.toString('hex');
}

const inRelease = 'release-v1.16.1-x86_64';
const firecracker = `${inRelease}/firecracker-v1.16.1-x86_64`;
const jailer = `${inRelease}/jailer-v1.16.1-x86_64`;
const good = {
  [firecracker]: writer('Firecracker v1.16.1\n'),
  [jailer]: writer('Jailer v1.16.1\n'),
  [`${inRelease}/NOTICE`]: Buffer.from('a notice'),
};

/** An archive of these files; text is where a symbolic link leads to. */
async function archiveOf(files: Record<string, Buffer | string>, ...more: string[]): Promise<string> {
  const from = join(root, 'from');
  await mkdir(join(from, inRelease), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await (typeof content === 'string' ? symlink(content, join(from, name)) : writeFile(join(from, name), content));
  }
  const archive = join(root, 'release.tgz');
  execFileSync('tar', ['-czf', archive, '-C', from, ...more, '--', ...Object.keys(files)]);
  return archive;
}

const sumOf = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
const take = async (from: string, change: Partial<InstallOptions> = {}): Promise<string> => {
  const sha256 = change.sha256 ?? (await sumOf(from));
  return installRelease({ from, folder, limits, signal, note: (line) => said.push(line), ...change, sha256 });
};

it('puts both programs of a release beside what is there, and nothing else', async () => {
  await mkdir(folder);
  await writeFile(join(folder, 'main.js'), 'the helper');
  expect(await take(await archiveOf(good))).toBe('1.16.1');
  expect(await readdir(folder)).toEqual(['firecracker', 'jailer', 'main.js']);
  for (const name of ['firecracker', 'jailer']) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o755);
  expect(await readFile(join(folder, 'firecracker'))).toEqual(good[firecracker]);
});

it('takes away what an installation that was killed has left, and not what another one has in hand', async () => {
  for (const name of ['.install-killed', '.install-other', 'installed']) {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, 'firecracker'), 'half of it');
  }
  const longAgo = new Date(Date.now() - limits.total - 60_000);
  for (const name of ['.install-killed', 'installed']) await utimes(join(folder, name), longAgo, longAgo);
  await take(await archiveOf(good));
  expect((await readdir(folder)).sort()).toEqual(['.install-other', 'firecracker', 'installed', 'jailer']);
});

const hostile: [string, () => Promise<string>, RegExp][] = [
  ['that is no archive', async () => (await writeFile(join(root, 'x'), 'text'), join(root, 'x')), /cannot be read/],
  ['that is cut off', async () => cutOff(await archiveOf(good)), /cannot be (read|unpacked)|no firecracker and jailer/],
  ['without the jailer', () => archiveOf({ [firecracker]: good[firecracker] ?? '' }), /no firecracker and jailer/],
  [
    'of two versions',
    () => archiveOf({ ...good, [jailer]: good[jailer] ?? '' }, '--transform=s/jailer-v1.16.1/jailer-v1.16.0/'),
    /no firecracker and jailer/,
  ],
  ['whose program is a link', () => archiveOf({ ...good, [firecracker]: '/bin/true' }), /is no program of Linux/],
  ['whose program is a text', () => archiveOf({ ...good, [jailer]: Buffer.from('#!/bin/sh\n') }), /is no program/],
  ['whose program is huge', () => archiveOf({ ...good, [firecracker]: Buffer.alloc(2 ** 17) }), /larger than 65536/],
  ['that leads out', () => archiveOf(good, '-P', '--transform=s,^,../../../../,'), /no firecracker and jailer/],
  ['of another program', () => archiveOf({ ...good, [firecracker]: writer('Tiger v1.16.1\n') }), /version/],
];

async function cutOff(archive: string): Promise<string> {
  await truncate(archive, (await stat(archive)).size - 40);
  return archive;
}

describe('an archive', () => {
  test.each(hostile)('%s is refused, and nothing of it is left', async (_what, make, words) => {
    await mkdir(folder);
    await writeFile(join(folder, 'firecracker'), 'what was there');
    const archive = await make();
    const before = await readdir(root);
    await expect(take(archive)).rejects.toMatchObject({
      code: 'install_failed',
      message: expect.stringMatching(words) as string,
    });
    expect(await readdir(folder)).toEqual(['firecracker']);
    expect(await readFile(join(folder, 'firecracker'), 'utf8')).toBe('what was there');
    expect(await readdir(root)).toEqual(before);
  });

  it('with another sum, or larger than any release, is not unpacked', async () => {
    const archive = await archiveOf(good);
    const wrong = take(archive, { sha256: '0'.repeat(64) });
    await expect(wrong).rejects.toMatchObject({ code: 'install_failed', message: /SHA-256 \w{64}, not 0{64}/ });
    const large = take(archive, { limits: { ...limits, archive: 64 } });
    await expect(large).rejects.toMatchObject({ code: 'install_failed', message: /larger than 64 bytes/ });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('an address', () => {
  async function serve<T>(listener: RequestListener, work: (url: string) => Promise<T>): Promise<T> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/release.tgz`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('is fetched, also where it leads to another one', async () => {
    const archive = await archiveOf(good);
    const [bytes, sha256] = [await readFile(archive), await sumOf(archive)];
    const version = await serve(
      (request, answer) =>
        request.url === '/there' ? answer.end(bytes) : answer.writeHead(302, { location: '/there' }).end(),
      (url) => take(url, { sha256 }),
    );
    expect(version).toBe('1.16.1');
    expect(said[0]).toMatch(/^Taking http/);
  });

  test.each<[string, RequestListener, RegExp]>([
    ['is not there', (_request, answer) => answer.writeHead(404).end(), /HTTP 404/],
    [
      'breaks off',
      (_request, answer) => (answer.writeHead(200, { 'content-length': 99 }).write('x'), answer.destroy()),
      /./,
    ],
    ['never ends', (_request, answer) => void answer.writeHead(200).write('x'), /./],
  ])('that %s leaves nothing', async (_what, listener, words) => {
    const told = serve(listener, (url) =>
      take(url, { sha256: '0'.repeat(64), limits: { ...limits, total: 1000 } }).catch((error: unknown) => error),
    );
    const error = AppError.inItsWords(await told);
    expect(error).toMatchObject({ code: 'install_failed', message: expect.stringMatching(words) as string });
    expect(await readdir(folder)).toEqual([]);
  });

  it('is no longer waited for when it is cancelled', async () => {
    const abort = new AbortController();
    const told = serve(
      (_request, answer) => (answer.writeHead(200).write('x'), abort.abort()),
      (url) => take(url, { sha256: '0'.repeat(64), signal: abort.signal }).catch((error: unknown) => error),
    );
    expect(await told).toMatchObject({ code: 'aborted' });
    expect(await readdir(folder)).toEqual([]);
  });
});

it('says so where only root may put programs', async () => {
  const archive = await archiveOf(good);
  await writeFile(join(root, 'a-file'), '');
  await expect(take(archive, { folder: join(root, 'a-file', 'below') })).rejects.toMatchObject({
    code: 'not_writable',
  });
});
