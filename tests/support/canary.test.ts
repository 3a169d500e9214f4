import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCanary, patternsOf } from './canary.js';

const secret = 'kanarie+Wort/7 äß';
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'canary-test-'));
});
afterEach(async () => rm(folder, { recursive: true }));

const search = async (): Promise<string[]> =>
  (await findCanary({ password: secret }, { roots: [folder], processes: false })).map(({ form }) => form);

describe('findCanary in files', () => {
  const swapped = Buffer.from(`x${secret}`, 'utf16le').swap16();
  const cases: [form: string, content: string | Buffer][] = [
    ['plain', `before ${secret} after`],
    ['percent-encoded', `password=${encodeURIComponent(secret)}`],
    ['form-encoded', new URLSearchParams({ password: secret }).toString()],
    ['hexadecimal', Buffer.from(secret).toString('hex')],
    ['base64', Buffer.from(secret).toString('base64')],
    ['base64', Buffer.from(`a${secret}bc`).toString('base64')],
    ['base64', Buffer.from(`user:pw${secret}`).toString('base64url')],
    ['UTF-16', Buffer.from(`x${secret}`, 'utf16le')],
    ['UTF-16', swapped],
  ];
  it.each(cases)('%s (%#)', async (form, content) => {
    await writeFile(join(folder, 'file'), content);
    expect(await search()).toContain(form);
  });

  it('every form of two secrets, wherever it begins', async () => {
    const canaries = { one: secret, other: `canary${randomBytes(12).toString('hex')}` };
    const all = Object.entries(canaries).flatMap(([label, value]) => patternsOf(label, value));
    const pieces = all.map(({ bytes }, at) => Buffer.concat([randomBytes(at), bytes]));
    await writeFile(join(folder, 'file'), Buffer.concat(pieces));
    const findings = await findCanary(canaries, { roots: [folder], processes: false });
    let at = 0;
    const wanted = all.map(({ label, form, bytes }, index) => {
      at += pieces[index]?.length ?? 0;
      return `${label} ${form} at ${at - bytes.length}`;
    });
    expect(findings.map(({ label, form, offset }) => `${label} ${form} at ${offset}`).sort()).toEqual(wanted.sort());
  });

  it('finds nothing where there is nothing, and does not follow links', async () => {
    await writeFile(join(folder, 'file'), secret.slice(1));
    await symlink('/', join(folder, 'root'));
    expect(await search()).toEqual([]);
  });

  it('finds it across blocks and far inside a sparse image, with its offset', async () => {
    const file = await open(join(folder, 'disk'), 'w');
    await file.truncate(3 * 2 ** 30);
    await file.write(swapped, 0, swapped.length, 2 ** 31 - 5);
    await file.write(secret, 2 ** 22 - 3);
    await file.close();
    const findings = await findCanary({ password: secret }, { roots: [folder], processes: false });
    const found = findings.map(({ form, offset }) => `${form} at ${offset}`);
    expect(found).toContain(`plain at ${2 ** 22 - 3}`);
    expect(found).toContain(`UTF-16 at ${2 ** 31 - 5 + 2}`);
    // Three gigabytes are read; a machine that runs a VM beside it needs its time.
  }, 120_000);
});

it('finds it in what a disk does not have as its base has it', async () => {
  const block = 2 ** 22;
  const content = randomBytes(3 * block);
  const base = join(folder, 'base');
  await writeFile(base, content);
  const disks = join(folder, 'disks');
  await mkdir(disks);
  const canary = Buffer.from(secret);
  // Inside the second block; over its beginning; over its end, all but one byte of it.
  const places = [block + 1000, block - 3, 2 * block - canary.length + 1];
  for (const [index, at] of places.entries()) {
    const changed = Buffer.from(content);
    canary.copy(changed, at);
    await writeFile(join(disks, `disk${index}`), changed);
  }
  await writeFile(join(disks, 'same'), content);
  const findings = await findCanary({ password: secret }, { roots: [disks], base, processes: false });
  expect(findings.map(({ offset }) => offset).sort()).toEqual(places.toSorted());
});

it('finds it in a living process and not in itself', async () => {
  const { spawn } = await import('node:child_process');
  const child = spawn('sleep', ['60'], { env: { SECRET: secret }, stdio: 'ignore' });
  try {
    await new Promise((resolve) => child.once('spawn', resolve));
    const findings = await findCanary({ password: secret }, { roots: [] });
    expect(findings.map(({ where }) => where)).toEqual([`process ${child.pid} environ (sleep)`]);
  } finally {
    child.kill();
  }
});

it('finds it in a database, also as bytes', async () => {
  const query = async (sql: string) => ({
    rows: sql.includes('information_schema')
      ? [{ name: 'public.a' }, { name: 'public.b' }]
      : [{ line: sql.includes('public.b') ? `(1,"\\\\x${Buffer.from(secret).toString('hex')}")` : '(1,clean)' }],
  });
  expect(await findCanary({ token: secret }, { roots: [], processes: false, query })).toEqual([
    { label: 'token', form: 'hexadecimal', where: 'row of public.b', offset: 0 },
  ]);
});

it('refuses a canary that could occur by chance', () => {
  expect(() => patternsOf('short', 'abc')).toThrow(/too short/);
});
