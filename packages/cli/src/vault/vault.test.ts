/** `airlock vault restore`, run as people run it, against a controller that the test plays. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { RestoreResponse } from '@airlock/contract/api';
import { homePaths } from '@airlock/contract/home';
import { useController, useHome } from '../testing.js';

const home = useHome();
let entries: RestoreResponse['entries'];
useController(home, (call) => {
  if (call === 'POST /api/vault/challenge') return { nonce: 'n'.repeat(43), expiresAt: '2026-01-01T00:00:00.000Z' };
  return call === 'POST /api/vault/restore' ? { entries } : undefined;
});

let file: string;
let words: string;
beforeEach(async () => {
  file = join(home.path, 'airlock-backup.jwe');
  words = join(home.path, 'passphrase');
  await writeFile(file, 'a backup');
  await writeFile(words, 'a passphrase of a test\n');
  await writeFile(homePaths(home.path).vaultKey, `${randomBytes(32).toString('base64')}\n`);
});
const restore = (...more: string[]) => home.airlock(['vault', 'restore', file, '--passphrase-file', words, ...more]);
const good = { name: 'ada/codex', result: 'restored', reason: null } as const;
const bad = { name: 'bob/codex', result: 'left_out', reason: '.codex/auth.json lacks tokens.' } as const;

test('an entry that was left out is named with its reason, and the command ends with 1', async () => {
  entries = [good, bad];
  const { exitCode, stdout, stderr } = await restore();
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/ada\/codex\s+restored\n/);
  expect(stdout).toMatch(/bob\/codex\s+left out: \.codex\/auth\.json lacks tokens\.\n/);
  expect(stderr).toContain('1 of 2 could not be restored: bob/codex.');
  const json = await restore('--json');
  expect([json.exitCode, JSON.parse(json.stdout)]).toEqual([1, { entries }]);
});

test('a backup that is restored as a whole ends with 0', async () => {
  entries = [good];
  expect(await restore()).toMatchObject({ exitCode: 0, stderr: '' });
});
