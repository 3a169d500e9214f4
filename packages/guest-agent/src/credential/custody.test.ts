import { chown, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CredentialBundle, GuestCredentials } from '@airlock/contract/guest';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../fixtures/config.js';
import { loginOf } from '../provider-login.js';
import { createCustody, type Custody } from './custody.js';
import { createCredentialStore } from './store.js';

const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const user = self.uid === 0 ? { uid: 1000, gid: 1000 } : self;
const auth = (token: string): string =>
  `${JSON.stringify({ tokens: { id_token: 'i', access_token: 'a', refresh_token: token } }, null, 2)}\n`;
const bundle = (token: string): CredentialBundle => ({
  provider: 'codex',
  files: [{ path: '.codex/auth.json', mode: 0o600, contentBase64: Buffer.from(auth(token)).toString('base64') }],
});

async function guest(): Promise<{ home: string; custody: Custody; said: string[]; codex: () => Promise<Entry> }> {
  const home = await temporaryFolder();
  await chown(home, user.uid, user.gid);
  const said: string[] = [];
  const custody = createCustody(createCredentialStore(home, user, loginOf), home, user, (text) => said.push(text));
  const codex = async (): Promise<Entry> =>
    (await custody.list()).credentials.find(({ provider }) => provider === 'codex') as Entry;
  return { home, custody, said, codex };
}
type Entry = GuestCredentials['credentials'][number];

it('tells what it holds, which delivery it came with, and that the CLI has changed it', async () => {
  const { home, custody, codex } = await guest();
  expect(await codex()).toEqual({ provider: 'codex', complete: false, fingerprint: null, generation: null });
  await custody.deliver(bundle('one'), 7);
  const delivered = await codex();
  expect(delivered).toMatchObject({ complete: true, generation: 7 });
  expect(await codex()).toEqual(delivered);
  await writeFile(join(home, '.codex/auth.json'), auth('two'));
  const refreshed = await codex();
  expect(refreshed).toMatchObject({ complete: true, generation: 7 });
  expect(refreshed.fingerprint).not.toBe(delivered.fingerprint);
  expect(JSON.stringify(await custody.list())).not.toContain('two');
});

it('has no number after a delivery that was refused, that nobody counts, or that was taken back', async () => {
  const { home, custody, codex } = await guest();
  await custody.deliver(bundle('one'), 7);
  const wrong = { ...bundle('two'), files: [...bundle('two').files, ...bundle('two').files] };
  await expect(custody.deliver(wrong, 8)).rejects.toMatchObject({ code: 'invalid_request' });
  expect(await codex()).toMatchObject({ complete: true, generation: null });
  await custody.deliver(bundle('two'), 8);
  await custody.deliver(bundle('three'), null);
  expect(await codex()).toMatchObject({ complete: true, generation: null });
  await custody.deliver(bundle('three'), 9);
  await custody.remove('codex');
  expect(await codex()).toEqual({ provider: 'codex', complete: false, fingerprint: null, generation: null });
  expect(await readdir(join(home, '.airlock'))).toEqual([]);
});

it('takes away what an agent that was killed in the middle of a write has left', async () => {
  const { home, custody } = await guest();
  await mkdir(join(home, '.codex'));
  await writeFile(join(home, '.codex/.auth.json.airlock'), auth('half'));
  await custody.remove('codex');
  expect(await readdir(join(home, '.codex'))).toEqual([]);
  await writeFile(join(home, '.codex/.auth.json.airlock'), auth('half'));
  await custody.deliver(bundle('whole'), 1);
  expect(await readdir(join(home, '.codex'))).toEqual(['auth.json']);
  expect(await readFile(join(home, '.codex/auth.json'), 'utf8')).toBe(auth('whole'));
});

it('goes on when the person has put something else in the place of a credential', async () => {
  const { home, custody, said, codex } = await guest();
  await custody.deliver(bundle('one'), 3);
  await rm(join(home, '.codex/auth.json'));
  await symlink('/etc/passwd', join(home, '.codex/auth.json'));
  expect(await codex()).toEqual({
    ...{ provider: 'codex', complete: false, fingerprint: null, generation: null },
    unreadable: expect.stringContaining('.codex/auth.json is not a plain file') as string,
  });
  expect(said.join()).toContain('codex');
});
