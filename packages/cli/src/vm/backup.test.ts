/** `airlock vm backup|restore`, run as people run it, against a controller that the test plays. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Vm } from '@airlock/contract/api';
import { sampleVm } from '@airlock/contract/fixtures/vm';
import { homePaths } from '@airlock/contract/home';
import { keyProof } from '@airlock/contract/key-proof';
import { createProgram } from '../program.js';
import { useController, useHome } from '../testing.js';

const home = useHome();
const { airlock } = home;
const vmId = 'vm_0123456789abcdef';
const passphrase = 'a passphrase of a test';
const at = '2026-01-01T00:00:00.000Z';
const vm: Vm = { ...sampleVm, id: vmId, state: 'stopped' };
const content = randomBytes(300_000);
/** Sends the backup. */
let send: (response: ServerResponse) => void;

const vaultKey = randomBytes(32);
const [nonce, challenge] = ['n'.repeat(43), 'POST /api/vault/challenge Bearer the-token'];
const proof = (call: string): string => keyProof(vaultKey, nonce, call);
const ofBackup = proof(`POST /api/vm/${vmId}/backup`);
const ofRestore = proof('POST /api/vm/restore');

const { calls, bodies } = useController(home, (call, response) => {
  if (call === 'POST /api/vault/challenge') return { nonce, expiresAt: at };
  if (call === 'POST /api/vm/restore') return vm;
  if (call !== `POST /api/vm/${vmId}/backup`) return undefined;
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  send(response);
  return undefined;
});

let file: string;
let words: string;
beforeEach(async () => {
  file = join(home.path, 'ada.home.age');
  words = join(home.path, 'passphrase');
  await writeFile(words, `${passphrase}\n`);
  await writeFile(homePaths(home.path).vaultKey, `${vaultKey.toString('base64')}\n`);
  send = (response) => response.end(content);
});
const backup = (...more: string[]) => airlock(['vm', 'backup', vmId, file, '--passphrase-file', words, ...more]);
const restore = (...more: string[]) => airlock(['vm', 'restore', file, '--passphrase-file', words, ...more]);
const names = async (): Promise<string[]> => (await readdir(home.path)).filter((name) => name.includes('age'));

test('a backup is written for its owner alone, and says how large it is', async () => {
  const { exitCode, stdout, stderr } = await backup();
  expect([exitCode, stdout, stderr]).toEqual([0, `${file}: 0 MiB\n`, `${vmId} is being stopped …\n`]);
  expect((await readFile(file)).equals(content)).toBe(true);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(bodies).toEqual([{ passphrase, now: false, keyProof: ofBackup }]);
  expect(await names()).toEqual(['ada.home.age']);
});

test('--now is passed on', async () => {
  expect((await backup('--now')).exitCode).toBe(0);
  expect(bodies).toEqual([{ passphrase, now: true, keyProof: ofBackup }]);
});

test('a file that is there is not replaced, and nobody is asked for anything, unless --force says so', async () => {
  await writeFile(file, 'older');
  const { exitCode, stderr } = await backup();
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('--force')]);
  expect([await readFile(file, 'utf8'), calls]).toEqual(['older', []]);
  expect((await backup('--force')).exitCode).toBe(0);
  expect((await readFile(file)).equals(content)).toBe(true);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('nothing is left of a backup that breaks off, and an older one stays', async () => {
  await writeFile(file, 'older');
  await writeFile(`${file}.partial`, 'of one that was killed');
  send = (response) => {
    response.write(content.subarray(0, 100_000));
    setImmediate(() => response.destroy());
  };
  const { exitCode, stderr } = await backup('--force');
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('controller_unreachable')]);
  expect([await names(), await readFile(file, 'utf8')]).toEqual([['ada.home.age'], 'older']);
});

test('a refusal is told, and leaves no file', async () => {
  const { exitCode, stderr } = await airlock([
    ...['vm', 'backup', 'vm_00000000000000zz', file, '--passphrase-file', words],
  ]);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('No such thing.')]);
  expect(await names()).toEqual([]);
});

test('a restore sends the passphrase before the file, and nowhere else', async () => {
  await writeFile(file, content);
  const { exitCode, stdout } = await restore();
  expect([exitCode, stdout]).toEqual([0, `${vmId} stopped\n`]);
  expect(calls).toEqual([challenge, 'POST /api/vm/restore Bearer the-token']);
  const [body] = bodies as Buffer[];
  const end = body?.indexOf('\n') ?? -1;
  expect(JSON.parse(body?.toString('utf8', 0, end) ?? '')).toEqual({
    ...{ passphrase, replace: false },
    keyProof: ofRestore,
  });
  expect(body?.subarray(end + 1).equals(content)).toBe(true);
});

test('a restore names the user, asks before it replaces, and prints the VM', async () => {
  await writeFile(file, content);
  const asked = await restore('--replace', '--user', 'bob');
  expect([asked.exitCode, calls]).toEqual([1, []]);
  expect(asked.stderr).toMatch(/The CLI VM of bob, if there is one, is destroyed.*--replace --yes/s);
  const { stdout } = await restore('--replace', '--user', 'bob', '--yes', '--json');
  expect(JSON.parse(stdout)).toEqual(vm);
  const [body] = bodies as Buffer[];
  expect(body?.toString('latin1')).toContain(
    `{"passphrase":"${passphrase}","user":"bob","replace":true,"keyProof":"${ofRestore}"}\n`,
  );
});

test('a file that is not there, and a passphrase that is too short, are told before anything is done', async () => {
  expect((await restore()).stderr).toMatch(/cannot be read: ENOENT.*invalid_request/s);
  const nowhere = ['vm', 'backup', vmId, join(home.path, 'no', 'folder'), '--passphrase-file', words];
  expect((await airlock(nowhere)).stderr).toMatch(/cannot be written: ENOENT.*invalid_request/s);
  await writeFile(words, 'too short\n');
  await writeFile(file, content);
  for (const { exitCode, stderr } of [await backup('--force'), await restore()]) {
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('it needs 12')]);
    expect(stderr).not.toContain('too short');
  }
  expect(calls).toEqual([]);
});

test('who cannot read the vault key gets no backup, and is told', async () => {
  await rm(homePaths(home.path).vaultKey);
  const { exitCode, stderr } = await backup();
  expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/vault\.key cannot be read.*on the host.*forbidden/s)]);
  expect([calls, await names()]).toEqual([[], []]);
});

test('no option takes a passphrase', () => {
  const vms = createProgram().commands.find((one) => one.name() === 'vm');
  for (const name of ['backup', 'restore']) {
    const options = vms?.commands.find((one) => one.name() === name)?.options.map(({ flags }) => flags) ?? [];
    expect(options.filter((flags) => flags.includes('passphrase'))).toEqual(['--passphrase-file <path>']);
  }
});
