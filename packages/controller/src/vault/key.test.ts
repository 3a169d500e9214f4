/** Where the vault key may lie, and who may read it. */
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inReadOnly, mayMount } from '@airlock/contract/fixtures/read-only';
import { othersMayRead } from '@airlock/contract/vault-key-file';
import { loadVaultKeys, newVaultKey, storeVaultKeys } from './key.js';
import { createKeyRing } from './ring.js';

let home: string;
let apart: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-key-'));
  apart = await mkdtemp(join(tmpdir(), 'airlock-key-'));
});
afterEach(() => Promise.all([home, apart].map((path) => rm(path, { recursive: true, force: true }))));

test('a key that lies elsewhere is made there, and nothing of it in the home', async () => {
  const path = join(apart, 'vault.key');
  const [key] = await loadVaultKeys(home, path);
  expect(await readdir(home)).toEqual([]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await loadVaultKeys(home, path))[0].id).toBe(key.id);
  const ring = createKeyRing([key], (keys) => storeVaultKeys(home, keys, path));
  await ring.turn();
  await ring.retire();
  expect((await loadVaultKeys(home, path)).map(({ id }) => id)).toEqual(ring.ids());
  expect(ring.ids()).not.toContain(key.id);
  expect(await readdir(home)).toEqual([]);
});

test('one in the home is not left behind unseen: it is moved, and then opens what it sealed', async () => {
  const [key] = await loadVaultKeys(home);
  const path = join(apart, 'vault.key');
  const refused = { code: 'vault_key_invalid', hint: expect.stringContaining(`mv ${join(home, 'vault.key')} ${path}`) };
  await expect(loadVaultKeys(home, path)).rejects.toMatchObject(refused);
  await rename(join(home, 'vault.key'), path);
  expect((await loadVaultKeys(home, path))[0].id).toBe(key.id);
});

test('one that others may read is refused, wherever it lies', async () => {
  const path = join(apart, 'vault.key');
  await loadVaultKeys(home, path);
  await chmod(path, 0o640);
  await expect(loadVaultKeys(home, path)).rejects.toMatchObject({ code: 'vault_key_invalid' });
  expect([0o400, 0o600, 0o440, 0o644, 0o444].map((mode) => othersMayRead('/etc/vault.key', mode))).toEqual([
    ...[false, false, true, true, true],
  ]);
  const credential = '/run/credentials/airlock.service/vault.key';
  expect([0o400, 0o440, 0o444, 0o460].map((mode) => othersMayRead(credential, mode))).toEqual([
    ...[false, false, true, true],
  ]);
});

test('a rotation that cannot write the key is refused with the reason, and changes nothing', async () => {
  const path = join(apart, 'vault.key');
  const [key] = await loadVaultKeys(home, path);
  const before = await readFile(path, 'utf8');
  // A folder that is not there: root may write to every other one.
  const ring = createKeyRing([key], (keys) => storeVaultKeys(home, keys, join(apart, 'gone', 'vault.key')));
  await expect(ring.turn()).rejects.toMatchObject({ code: 'vault_key_invalid', message: /cannot be written/ });
  expect(ring.ids()).toEqual([key.id]);
  expect(await readFile(path, 'utf8')).toBe(before);
  await expect(loadVaultKeys(home, join(apart, 'gone', 'vault.key'))).rejects.toMatchObject({
    code: 'vault_key_invalid',
  });
  expect(newVaultKey().id).not.toBe(key.id);
});

const isSkipped = !(await mayMount());
test.skipIf(isSkipped)('one that the service may not write is told with ReadWritePaths= and the drop-in', async () => {
  const path = join(apart, 'vault.key');
  const program = new URL('../../dist/vault/key.js', import.meta.url).href;
  const said = await inReadOnly(
    apart,
    `const { loadVaultKeys, newVaultKey, storeVaultKeys } = await import('${program}');
    const say = ({ code, message, hint }) => console.log(code, message, hint);
    await loadVaultKeys('${home}', '${path}').catch(say);
    await storeVaultKeys('${home}', [newVaultKey()], '${path}').catch(say);`,
  );
  const lines = said.trim().split('\n');
  expect(lines).toHaveLength(2);
  for (const line of lines) {
    expect(line).toMatch(/^vault_key_invalid .*vault\.key cannot be written.*AIRLOCK_VAULT_KEY_FILE.*EROFS/);
    expect(line).toContain(`ReadWritePaths=${apart}\``);
    expect(line).not.toContain('credentials');
  }
});
