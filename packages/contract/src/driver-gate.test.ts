import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gateKey, hostKey, judgeGate, readGates, writeGate, type DriverGate } from './driver-gate.js';
import { homePaths } from './home.js';

let home: string;
beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), 'airlock-gate-test-'))));
afterEach(() => rm(home, { recursive: true }));

const imageId = 'img_202601010000abcdef01';
const at = '2026-01-01T00:00:00.000Z';
const key = { version: '1.16.1', sha256: 'a', host: 'a processor, Linux 6.1' };
const gate: DriverGate = { ...key, imageId, at, passed: true, reason: 'It was drawn.' };

async function aDriver() {
  const path = join(home, 'a-vmm');
  await writeFile(path, 'a program');
  const found = { name: 'a-vmm', path, version: '1.16.1', emulation: false, serials: false, networks: ['tap'] };
  return { ...found, ok: true, reason: 'It is there.' };
}
const saysNow = async (driver: Awaited<ReturnType<typeof aDriver>>) =>
  (await readGates(home, { drivers: [driver, { ...driver, name: 'emulating', emulation: true }] }))['a-vmm'];

test('a gate that was passed names its image until program, version, kernel or processor is another one', async () => {
  const driver = await aDriver();
  expect(await saysNow(driver)).toMatchObject({ imageId: null, reason: expect.stringContaining('never') as string });
  await writeGate(home, driver.name, { ...gate, ...(await gateKey(driver)) });
  expect(await saysNow(driver)).toMatchObject({ imageId, reason: expect.stringContaining('on this host') as string });
  await writeFile(driver.path, 'another program');
  expect(await saysNow(driver)).toMatchObject({ imageId: null, reason: expect.stringContaining('another') as string });
});

test('what cannot be read, or was broken off, is no gate that was passed', async () => {
  const driver = await aDriver();
  await writeGate(home, driver.name, { ...gate, ...(await gateKey(driver)) });
  await writeFile(homePaths(home).driverGate(driver.name), '{"imageId":"img_');
  expect(await saysNow(driver)).toMatchObject({ imageId: null });
  await rm(driver.path);
  expect(await saysNow(driver)).toMatchObject({ imageId: null, reason: expect.stringContaining('ENOENT') as string });
});

test.each([
  ['version', { version: '1.17.0' }, 'was 1.16.1 then and is 1.17.0 now'],
  ['program', { sha256: 'b' }, 'another one now'],
  ['host', { host: 'a processor, Linux 6.2' }, 'Linux 6.2'],
])('says what is another one: the %s', (_what, change, words) => {
  const verdict = judgeGate('a-vmm', gate, { ...key, ...change });
  expect(verdict).toEqual({ imageId: null, reason: expect.stringContaining(words) as string });
  expect(verdict.reason).toContain('`npx airlock a-vmm gate`');
});

test('a gate that failed is kept with its reason', () => {
  const verdict = judgeGate('a-vmm', { ...gate, passed: false, reason: 'No desktop was drawn.' }, key);
  expect(verdict).toEqual({ imageId: null, reason: expect.stringContaining('No desktop was drawn.') as string });
});

test('a host is known by what its processor can do, in whatever order it tells that', () => {
  const cpuinfo = (flags: string): string => `model name\t: x\nflags\t\t: ${flags}\nbogomips\t: 1\n`;
  expect(hostKey(cpuinfo('fpu svm'))).toBe(hostKey(cpuinfo('svm fpu')));
  expect(hostKey(cpuinfo('fpu svm'))).not.toBe(hostKey(cpuinfo('fpu')));
});
