import { chown, link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CredentialBundle } from '@airlock/contract/guest';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../fixtures/config.js';
import { createCredentialStore, type CredentialStore } from './store.js';

const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const isRoot = self.uid === 0;
const user = isRoot ? { uid: 1000, gid: 1000 } : self;
const auth = '{"tokens":{"id_token":"i","access_token":"a","refresh_token":"r"}}';

function bundleOf(path = '.codex/auth.json', content = auth, mode = 0o600): CredentialBundle {
  return { provider: 'codex', files: [{ path, mode, contentBase64: Buffer.from(content).toString('base64') }] };
}

async function homeWithStore(): Promise<{ home: string; store: CredentialStore }> {
  const home = await temporaryFolder();
  await chown(home, user.uid, user.gid);
  return { home, store: createCredentialStore(home, user) };
}

describe('createCredentialStore', () => {
  it('writes a bundle with owner and mode, and reads the same back', async () => {
    const { home, store } = await homeWithStore();
    await store.write(bundleOf());
    const file = await stat(join(home, '.codex/auth.json'));
    const folder = await stat(join(home, '.codex'));
    expect([file.mode & 0o777, file.uid, file.gid]).toEqual([0o600, user.uid, user.gid]);
    expect([folder.mode & 0o777, folder.uid]).toEqual([0o700, user.uid]);
    expect(await readdir(join(home, '.codex'))).toEqual(['auth.json']);
    expect(await store.read('codex')).toEqual(bundleOf());
  });

  it('replaces, fingerprints and removes', async () => {
    const { home, store } = await homeWithStore();
    expect(await store.fingerprint('codex')).toBeNull();
    await store.write(bundleOf());
    const first = await store.fingerprint('codex');
    await store.write(bundleOf('.codex/auth.json', auth.replace('"a"', '"b"'), 0o640));
    expect(await store.fingerprint('codex')).not.toBe(first);
    expect((await stat(join(home, '.codex/auth.json'))).mode & 0o777).toBe(0o640);
    await store.remove('codex');
    await store.remove('codex');
    await expect(store.read('codex')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('gives nothing out while the credential is incomplete', async () => {
    const { home, store } = await homeWithStore();
    await mkdir(join(home, '.codex'));
    await writeFile(join(home, '.codex/auth.json'), '{"tokens":{"id_tok');
    await expect(store.read('codex')).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each([
    ['another file', bundleOf('.bashrc'), 'invalid_request'],
    ['a file twice', { ...bundleOf(), files: [...bundleOf().files, ...bundleOf().files] }, 'invalid_request'],
    ['an incomplete credential', bundleOf('.codex/auth.json', '{}'), 'credential_invalid'],
    ['a provider without login', { ...bundleOf(), provider: 'gemini_cli' as const }, 'provider_unavailable'],
  ])('refuses a bundle with %s', async (_what, bundle, code) => {
    const { home, store } = await homeWithStore();
    await expect(store.write(bundle)).rejects.toMatchObject({ code });
    expect(await readdir(home)).toEqual([]);
  });

  it('follows no link that the user planted, for a folder or a file', async () => {
    const { home, store } = await homeWithStore();
    const outside = await temporaryFolder();
    await writeFile(join(outside, 'auth.json'), auth);
    await symlink(outside, join(home, '.codex'));
    await expect(store.read('codex')).rejects.toMatchObject({ code: 'credential_invalid' });
    await expect(store.write(bundleOf())).rejects.toMatchObject({ code: 'credential_invalid' });
    await expect(store.remove('codex')).rejects.toMatchObject({ code: 'credential_invalid' });
    expect(await readdir(outside)).toEqual(['auth.json']);

    const second = await homeWithStore();
    await mkdir(join(second.home, '.codex'));
    await symlink(join(outside, 'auth.json'), join(second.home, '.codex/auth.json'));
    await expect(second.store.read('codex')).rejects.toMatchObject({ code: 'credential_invalid' });
    await second.store.write(bundleOf('.codex/auth.json', auth.replace('"a"', '"new"')));
    expect(await readFile(join(outside, 'auth.json'), 'utf8')).toBe(auth);
  });

  it('reads no hard link and no directory', async () => {
    const { home, store } = await homeWithStore();
    const outside = await temporaryFolder();
    await writeFile(join(outside, 'auth.json'), auth);
    await mkdir(join(home, '.codex'));
    await link(join(outside, 'auth.json'), join(home, '.codex/auth.json'));
    await expect(store.read('codex')).rejects.toMatchObject({ code: 'credential_invalid' });
    await store.remove('codex');
    await mkdir(join(home, '.codex/auth.json'));
    await expect(store.read('codex')).rejects.toMatchObject({ code: 'credential_invalid' });
  });
});
