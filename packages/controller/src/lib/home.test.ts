import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inReadOnly, mayMount } from '@airlock/contract/fixtures/read-only';
import { readControllerFile } from '@airlock/contract/home';
import { openHome } from './home.js';

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'al-home-')), 'home');
});
afterEach(() => rm(join(folder, '..'), { recursive: true }));

const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test('makes the folder and the token for this user alone, and keeps the token', async () => {
  const first = await openHome(folder);
  await first.announce({ url: 'http://127.0.0.1:4000', pid: process.pid });
  expect(first.token).toMatch(/^[\w-]{43}$/);
  expect(await mode(folder)).toBe(0o700);
  expect(await mode(join(folder, 'token'))).toBe(0o600);
  expect(await readControllerFile(folder)).toEqual({ url: 'http://127.0.0.1:4000', pid: process.pid });
  await first.close();
  await first.close();
  expect(await readControllerFile(folder)).toBeNull();
  const second = await openHome(folder);
  expect(second.token).toBe(first.token);
  await second.close();
  expect((await readdir(folder)).sort()).toEqual(['controller.lock', 'token']);
});

test('lets one process in, and names it to the others', async () => {
  const first = await openHome(folder);
  await first.announce({ url: 'http://127.0.0.1:4000', pid: 4242 });
  await expect(openHome(folder)).rejects.toMatchObject({
    code: 'home_locked',
    message: expect.stringContaining('process id 4242 (http://127.0.0.1:4000)') as string,
    hint: expect.stringContaining('AIRLOCK_HOME') as string,
  });
  await first.close();
  await (await openHome(folder)).close();
});

test('is free at once after its holder was killed, whatever it left behind', async () => {
  const holder = await holdInChild(folder);
  await expect(openHome(folder)).rejects.toMatchObject({ code: 'home_locked', details: { pid: holder.pid } });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  expect(await readFile(join(folder, 'controller.json'), 'utf8')).toContain(String(holder.pid));
  const home = await openHome(folder);
  expect(await readControllerFile(folder)).toBeNull();
  await home.close();
});

test('of many that start together exactly one gets in', async () => {
  const results = await Promise.allSettled(Array.from({ length: 12 }, () => openHome(folder)));
  const homes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(homes).toHaveLength(1);
  await homes[0]?.close();
});

test('refuses a token file that is too short to be one', async () => {
  await (await openHome(folder)).close();
  await writeFile(join(folder, 'token'), 'short\n');
  await expect(openHome(folder)).rejects.toMatchObject({ code: 'config_invalid' });
});

async function holdInChild(path: string): Promise<ChildProcess> {
  const module = pathToFileURL(createRequire(import.meta.url).resolve('@airlock/controller/lib/home')).href;
  const program = `
    const { openHome } = await import(${JSON.stringify(module)});
    const home = await openHome(${JSON.stringify(path)});
    await home.announce({ url: 'http://127.0.0.1:4000', pid: process.pid });
    console.log('held');
    setInterval(() => home, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

const isSkipped = !(await mayMount());
test.skipIf(isSkipped)(
  'a home that the service may not write to is refused with the drop-in that widens it',
  async () => {
    const program = new URL('../../dist/lib/home.js', import.meta.url).href;
    const said = await inReadOnly(
      join(folder, '..'),
      `const { openHome } = await import('${program}');
    await openHome('${folder}').catch(({ code, message, hint }) => console.log(code, message, hint));`,
    );
    expect(said).toMatch(/^not_writable AIRLOCK_HOME is .*EROFS.*ReadWritePaths=.*airlock\.service\.d/);
  },
);
