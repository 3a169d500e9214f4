import { chown, link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CredentialBundle } from '@airlock/contract/guest';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { maybe, plainText } from '@airlock/contract/provider/credential-content';
import { temporaryFolder } from '../fixtures/config.js';
import type { ProviderLogin } from '@airlock/contract/provider/facts';
import { loginOf } from '../provider-login.js';
import { createCredentialStore, type CredentialStore } from './store.js';

const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const isRoot = self.uid === 0;
const user = isRoot ? { uid: 1000, gid: 1000 } : self;
const textOf = (document: unknown): string => `${JSON.stringify(document, null, 2)}\n`;
const auth = textOf({ tokens: { id_token: 'i', access_token: 'a', refresh_token: 'r' } });

function bundleOf(path = '.codex/auth.json', content = auth, mode = 0o600): CredentialBundle {
  return { provider: 'codex', files: [{ path, mode, contentBase64: Buffer.from(content).toString('base64') }] };
}

async function homeWithStore(of = loginOf): Promise<{ home: string; store: CredentialStore }> {
  const home = await temporaryFolder();
  await chown(home, user.uid, user.gid);
  return { home, store: createCredentialStore(home, user, of) };
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
    await store.write(bundleOf('.codex/auth.json', auth.replace('"a"', '"b"'), 0o777));
    expect(await store.fingerprint('codex')).not.toBe(first);
    // The mode is the provider's, whatever the bundle says.
    expect((await stat(join(home, '.codex/auth.json'))).mode & 0o777).toBe(0o600);
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

  it('reads no hard link and no folder', async () => {
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

const settings = z.object({
  account: maybe(plainText),
  trusted: maybe(z.literal(true)),
  auth: maybe(z.object({ type: maybe(plainText) })),
});
/** A login whose token has a file of its own, and whose account stands among the settings that the CLI keeps. */
const twoFiles: ProviderLogin = {
  ...loginOf('codex'),
  credentialFiles: [
    { path: '.cli/token', mode: 0o600, required: true, keeps: /^T\d?$/, delivery: 'replace' },
    { path: '.cli/hint', mode: 0o644, required: false, keeps: /^\w+$/, delivery: 'replace' },
    {
      ...{ path: '.cli.json', mode: 0o600, required: false, keeps: settings },
      ...{ delivery: 'json', members: ['account', 'auth.type'] },
    },
  ],
  inspectCredential: (files) =>
    files.has('.cli/token') ? { complete: true } : { complete: false, reason: 'there is no token' },
  handOver: (files) => {
    const { account = null } = JSON.parse(files.get('.cli.json') ?? '{}') as { account?: unknown };
    return new Map([...files, ['.cli.json', textOf({ account, trusted: true })]]);
  },
};

const bundle = (files: Record<string, string>): CredentialBundle => ({
  provider: 'codex',
  files: Object.entries(files).map(([path, text]) => ({
    path,
    mode: 0o600,
    contentBase64: Buffer.from(text).toString('base64'),
  })),
});
const textsOf = ({ files }: CredentialBundle): Record<string, string> =>
  Object.fromEntries(
    files.map(({ path, contentBase64 }) => [path, Buffer.from(contentBase64, 'base64').toString('utf8')]),
  );
const jsonOf = async (home: string): Promise<unknown> => JSON.parse(await readFile(join(home, '.cli.json'), 'utf8'));

describe('a credential of several files', () => {
  const open = () => homeWithStore(() => twoFiles);

  it('is handed over with its flags, and the same when read again where it was delivered', async () => {
    const { home, store } = await open();
    await mkdir(join(home, '.cli'));
    await writeFile(join(home, '.cli/token'), 'T1\n');
    await writeFile(join(home, '.cli.json'), '{"account":"ada","history":["private"]}');
    const first = await store.read('codex');
    expect(textsOf(first)).toEqual({ '.cli/token': 'T1\n', '.cli.json': textOf({ account: 'ada', trusted: true }) });
    const other = await open();
    await other.store.write(first);
    expect(textsOf(await other.store.read('codex'))).toEqual(textsOf(first));
    expect(await other.store.fingerprint('codex')).toBe(await store.fingerprint('codex'));
    // What the CLI goes on writing there is no new credential.
    await writeFile(join(other.home, '.cli.json'), '{"account":"ada","trusted":true,"starts":7}');
    expect(await other.store.fingerprint('codex')).toBe(await store.fingerprint('codex'));
  });

  it('replaces only its own members of a document, and takes only those away', async () => {
    const { home, store } = await open();
    await writeFile(join(home, '.cli.json'), '{"starts":7,"account":"old","theme":"dark"}');
    await store.write(bundle({ '.cli/token': 'T2', '.cli.json': '{"account":"new","trusted":true}' }));
    expect(await jsonOf(home)).toEqual({ starts: 7, account: 'new', theme: 'dark', trusted: true });
    expect((await stat(join(home, '.cli.json'))).mode & 0o777).toBe(0o600);
    await store.remove('codex');
    expect(await jsonOf(home)).toEqual({ starts: 7, theme: 'dark', trusted: true });
    expect(await readdir(join(home, '.cli'))).toEqual([]);
  });

  it('merges declared members only, however deep, and what else the person keeps there stays', async () => {
    const { home, store } = await open();
    const own = { auth: { type: 'old', mine: 1 }, hooks: { mine: true }, theme: 'dark' };
    await writeFile(join(home, '.cli.json'), JSON.stringify(own));
    const planted =
      '{"auth":{"type":"new","run":"sh"},"hooks":{"run":"sh"},"__proto__":{"run":"sh"},"mcpServers":{"x":{"command":"sh"}}}';
    await store.write(bundle({ '.cli/token': 'T', '.cli.json': planted }));
    expect(await jsonOf(home)).toEqual({ auth: { type: 'new', mine: 1 }, hooks: { mine: true }, theme: 'dark' });
    expect(await readFile(join(home, '.cli.json'), 'utf8')).not.toContain('sh');
    await store.remove('codex');
    expect(await jsonOf(home)).toEqual({ auth: { mine: 1 }, hooks: { mine: true }, theme: 'dark' });
  });

  it('leaves no file and no member of an earlier login beside a new one', async () => {
    const { home, store } = await open();
    await store.write(bundle({ '.cli/token': 'T1', '.cli/hint': 'old', '.cli.json': '{"account":"old"}' }));
    await store.write(bundle({ '.cli/token': 'T2' }));
    expect(await readdir(join(home, '.cli'))).toEqual(['token']);
    expect(await readdir(home)).toEqual(['.cli']);
  });

  it.each([
    ['is not JSON', '{"starts":'],
    ['is no object', '[1]'],
  ])('gives up a document that %s', async (_what, text) => {
    const { home, store } = await open();
    await writeFile(join(home, '.cli.json'), text);
    await store.write(bundle({ '.cli/token': 'T', '.cli.json': '{"account":"new"}' }));
    expect(await jsonOf(home)).toEqual({ account: 'new' });
  });

  it('is beside other lines of the same file, which are never read out and stay byte for byte', async () => {
    const { home, store } = await homeWithStore();
    const path = join(home, '.gemini/.env');
    const before =
      '# GEMINI_API_KEY=old\r\nOTHER="canary é"\nexport GEMINI_API_KEY = "older"\nGEMINI_API_KEYS=mine\nLAST=\xff';
    await mkdir(join(home, '.gemini'));
    await writeFile(path, before, 'latin1');
    const files =
      loginOf('gemini_cli').apiKey?.files('AIzaSyExample_0123456789-abcdefghijklmn') ?? new Map<string, string>();
    const bundle: CredentialBundle = {
      provider: 'gemini_cli',
      files: Array.from(files, ([name, text]) => ({
        path: name,
        mode: 0o600,
        contentBase64: Buffer.from(text).toString('base64'),
      })),
    };
    await store.write(bundle);
    const rest = before.replace('export GEMINI_API_KEY = "older"\n', '');
    expect(await readFile(path, 'latin1')).toBe(`${rest}\nGEMINI_API_KEY=AIzaSyExample_0123456789-abcdefghijklmn\n`);
    const read = await store.read('gemini_cli');
    expect(
      Buffer.from(read.files.find((file) => file.path === '.gemini/.env')?.contentBase64 ?? '', 'base64').toString(),
    ).toBe('GEMINI_API_KEY=AIzaSyExample_0123456789-abcdefghijklmn\n');
    await store.write(bundle);
    await store.remove('gemini_cli');
    expect(await readFile(path, 'latin1')).toBe(`${rest}\n`);
    await writeFile(path, 'GEMINI_API_KEY=x\n');
    await store.remove('gemini_cli');
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    ['quotes', 'GEMINI_API_KEY="AIzaNew"\n'],
    ['other quotes, and more behind them', "GEMINI_API_KEY='AIzaNew' # it's mine\n"],
    ['blanks and a word of shells', '  export GEMINI_API_KEY = AIzaNew # mine\r\nOTHER=1\r\n'],
    ['a line of before', 'GEMINI_API_KEY=AIzaOld\nOTHER=1\nGEMINI_API_KEY=AIzaNew\n'],
    ['an editor’s mark', '\uFEFFGEMINI_API_KEY=AIzaNew\n'],
    ['ends of lines of old', 'OTHER=1\rGEMINI_API_KEY=AIzaNew\r'],
  ])('is found in a line that a person wrote, with %s, as their CLI finds it, and goes whole', async (_how, text) => {
    const { home, store } = await homeWithStore();
    await mkdir(join(home, '.gemini'));
    const settings = '{"security":{"auth":{"selectedType":"gemini-api-key"}}}';
    await writeFile(join(home, '.gemini/settings.json'), settings);
    await writeFile(join(home, '.gemini/.env'), text);
    expect(textsOf(await store.read('gemini_cli'))['.gemini/.env']).toBe('GEMINI_API_KEY=AIzaNew\n');
    await store.remove('gemini_cli');
    expect(await readFile(join(home, '.gemini/.env'), 'utf8').catch(() => '')).not.toContain('AIza');
  });

  it('is put beside comments where its CLI passes over them, and found there', async () => {
    const { home, store } = await homeWithStore();
    const path = join(home, '.gemini/settings.json');
    const mine = (auth: string): string =>
      `{ // "mine", {\r\n  "ui": {"theme": "//dark /*"}, /* , */\n  "security": {"auth": ${auth}, "mine": [1 /* ] */, 2]} // end\n}\n// more`;
    await mkdir(join(home, '.gemini'));
    await writeFile(path, mine('{/* before, */ "selectedType": "oauth-personal" /* behind */}'));
    const key = new Map(loginOf('gemini_cli').apiKey?.files(`AIza${'k'.repeat(35)}`));
    await store.write({ ...bundle(Object.fromEntries(key)), provider: 'gemini_cli' });
    const after = await readFile(path, 'utf8');
    for (const kept of [
      '// "mine", {\r\n',
      '"//dark /*"',
      '/* , */',
      '[1 /* ] */, 2]',
      '/* behind */',
      '// end\n',
      '}\n// more',
    ])
      expect(after).toContain(kept);
    expect(textsOf(await store.read('gemini_cli'))['.gemini/settings.json']).toContain('"gemini-api-key"');
    await store.remove('gemini_cli');
    expect(await readFile(path, 'utf8')).not.toContain('selectedType');
    expect(await readFile(path, 'utf8')).toContain('[1 /* ] */, 2]');
  });

  it('is put into a document behind an editor’s mark, which goes; one with comments is given up where its CLI reads none', async () => {
    const { home, store } = await open();
    await writeFile(join(home, '.cli.json'), '\uFEFF{"starts":7,"account":"old"}');
    await mkdir(join(home, '.cli'));
    await writeFile(join(home, '.cli/token'), 'T');
    expect(textsOf(await store.read('codex'))['.cli.json']).toContain('"old"');
    await store.write(bundle({ '.cli/token': 'T', '.cli.json': '{"account":"new"}' }));
    expect(await jsonOf(home)).toEqual({ starts: 7, account: 'new' });
    await writeFile(join(home, '.cli.json'), '{"starts":7 /* mine */}');
    await store.write(bundle({ '.cli/token': 'T', '.cli.json': '{"account":"new"}' }));
    expect(await jsonOf(home)).toEqual({ account: 'new' });
  });

  it('writes into no document behind a link', async () => {
    const { home, store } = await open();
    const outside = await temporaryFolder();
    await writeFile(join(outside, 'secret.json'), '{"a":1}');
    await symlink(join(outside, 'secret.json'), join(home, '.cli.json'));
    await expect(store.write(bundle({ '.cli/token': 'T', '.cli.json': '{"account":"x"}' }))).rejects.toMatchObject({
      code: 'credential_invalid',
    });
    expect(await readFile(join(outside, 'secret.json'), 'utf8')).toBe('{"a":1}');
  });
});
