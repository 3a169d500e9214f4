/** A CLI's own file grows with what it remembers: a login in it is found, changed and handed over all the same, and nothing else moves. */
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { requireHarmless, startReader } from '@airlock/contract/fixtures/hostile';
import { answerBytes } from '@airlock/contract/received';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../fixtures/config.js';
import { loginOf } from '../provider-login.js';
import { createCustody } from './custody.js';
import { cliFileBytes, createCredentialStore } from './store.js';

const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const kib = 1024;
const account = { accountUuid: 'a-1', emailAddress: 'ada@example.org' };
const tokens = (value: string): string =>
  JSON.stringify({ claudeAiOauth: { accessToken: value, refreshToken: `r-${value}` }, mcpOAuth: { mine: 1 } });

/** As Claude Code writes it: the account stands in the middle of what it remembers, whose figures JavaScript would round. */
function stateOf(bytes: number): string {
  const history = '[{,asked}]';
  const [before, after] = [
    `{\n  "numStartups": 12345678901234567890,\n  "oauthAccount": ${JSON.stringify(account)},\n  "projects": {"/src": {"history": [`,
    ']}},\n  "last": 1.50\n}\n',
  ];
  const room = bytes - before.length - after.length - 2;
  return `${before}"${history.repeat(Math.ceil(room / history.length)).slice(0, room)}"${after}`;
}

const bundleFiles = (value: string) =>
  [
    ['.claude/.credentials.json', tokens(value)] as const,
    ['.claude.json', JSON.stringify({ oauthAccount: account })] as const,
  ].map(([path, text]) => ({ path, mode: 0o600, contentBase64: Buffer.from(text).toString('base64') }));

async function guest() {
  const home = await temporaryFolder();
  const store = createCredentialStore(home, user, loginOf);
  const said: string[] = [];
  await mkdir(join(home, '.claude'));
  await mkdir(join(home, '.codex'));
  await writeFile(join(home, '.claude/.credentials.json'), tokens('t1'));
  await writeFile(
    join(home, '.codex/auth.json'),
    JSON.stringify({ tokens: { id_token: 'i', access_token: 'a', refresh_token: 'r' } }),
  );
  return { home, store, said, custody: createCustody(store, home, user, (line) => void said.push(line)) };
}

const heldOf = async (custody: ReturnType<typeof createCustody>, provider: string) =>
  (await custody.list()).credentials.find((one) => one?.provider === provider);

it.each([900 * kib, 1024 * kib, 3.9 * 1024 * kib, cliFileBytes, cliFileBytes + 1])(
  'a state file of %i bytes locks nobody out, and only the login leaves it',
  async (bytes) => {
    const { home, store, custody } = await guest();
    await writeFile(join(home, '.claude.json'), stateOf(bytes));
    expect(await heldOf(custody, 'claude_code')).toMatchObject({ complete: true });
    const { files } = await store.read('claude_code');
    const text = Object.fromEntries(
      files.map(({ path, contentBase64 }) => [path, JSON.parse(Buffer.from(contentBase64, 'base64').toString())]),
    ) as Record<string, unknown>;
    expect(text['.claude.json']).toEqual({ oauthAccount: account, hasCompletedOnboarding: true });
    expect(JSON.stringify(files).length).toBeLessThan(2 * kib);
  },
);

it.each([900 * kib, 1024 * kib, 3.9 * 1024 * kib, cliFileBytes])(
  'a login is merged into a state file of %i bytes, and taken out of it, with every other byte left as it was',
  async (bytes) => {
    const { home, store } = await guest();
    const path = join(home, '.claude.json');
    const before = stateOf(bytes);
    await writeFile(path, before);
    const bundle = await store.read('claude_code');
    const next = JSON.stringify({ oauthAccount: { ...account, accountUuid: 'a-2' }, hasCompletedOnboarding: true });
    const files = bundle.files.map((file) =>
      file.path === '.claude.json' ? { ...file, contentBase64: Buffer.from(next).toString('base64') } : file,
    );
    await store.write({ ...bundle, files });
    const after = await readFile(path, 'utf8');
    const rest = (text: string): string =>
      text.replace(/ "oauthAccount": \{[^}]*\},/, '').replace(/,\s*"hasCompletedOnboarding": true/, '');
    expect(rest(after) === rest(before)).toBe(true);
    expect(JSON.parse(after)).toMatchObject({ oauthAccount: { accountUuid: 'a-2' }, hasCompletedOnboarding: true });
    await store.remove('claude_code');
    const removed = await readFile(path, 'utf8');
    expect(removed).not.toContain('oauthAccount');
    expect(removed).toContain('12345678901234567890');
    expect(rest(removed).replaceAll(/\s/g, '') === rest(before).replaceAll(/\s/g, '')).toBe(true);
  },
);

it('one that is larger by a byte is not merged into, and no file is touched; its login can be taken out', async () => {
  const { home, store } = await guest();
  const path = join(home, '.claude.json');
  const state = stateOf(cliFileBytes + 1);
  await writeFile(path, state);
  const files = bundleFiles('t2');
  await expect(store.write({ provider: 'claude_code', files })).rejects.toMatchObject({
    code: 'credential_invalid',
    message: '.claude.json has 4.00 MiB (4194305 bytes); at most 4.00 MiB (4194304 bytes) are read.',
  });
  expect(await readFile(join(home, '.claude/.credentials.json'), 'utf8')).toBe(tokens('t1'));
  expect((await readFile(path, 'utf8')) === state).toBe(true);
  await store.remove('claude_code');
  expect(await readFile(path, 'utf8')).not.toContain('oauthAccount');
  expect(await readFile(join(home, '.claude/.credentials.json'), 'utf8')).toBe('{"mcpOAuth":{"mine":1}}');
});

it('one that is too large is named with its size, stays as it is, and keeps no other login from being read', async () => {
  const { home, store, custody } = await guest();
  const path = join(home, '.claude.json');
  const state = stateOf(5 * 1024 * kib);
  await writeFile(path, state);
  const told = /^\.claude\.json has 5\.00 MiB \(5242880 bytes\); at most 4\.\d\d MiB \(\d+ bytes\) are read\./;
  const held = await heldOf(custody, 'claude_code');
  expect(held).toMatchObject({ complete: false, unreadable: expect.stringMatching(told) as string });
  expect(await heldOf(custody, 'codex')).toMatchObject({ complete: true });
  expect(await store.read('codex')).toMatchObject({ provider: 'codex' });
  const files = bundleFiles('t2');
  const refused = { code: 'credential_invalid', message: expect.stringMatching(told) as string };
  await expect(store.write({ provider: 'claude_code', files })).rejects.toMatchObject(refused);
  await expect(store.remove('claude_code')).rejects.toMatchObject(refused);
  expect((await readFile(path, 'utf8')) === state).toBe(true);
  expect(await readFile(join(home, '.claude/.credentials.json'), 'utf8')).toBe(tokens('t1'));
});

it('one that nests deeper than any stack is read and merged like any other', async () => {
  const { home, store } = await guest();
  const path = join(home, '.claude.json');
  const deep = `${'['.repeat(400_000)}${']'.repeat(400_000)}`;
  await writeFile(path, `{"deep":${deep},"oauthAccount":${JSON.stringify(account)}}`);
  const bundle = await store.read('claude_code');
  await store.write(bundle);
  const after = await readFile(path, 'utf8');
  expect(after.startsWith(`{"deep":${deep},"oauthAccount":`)).toBe(true);
  expect(after).toContain('"hasCompletedOnboarding": true');
});

it('one that its CLI appends to while it is read is read up to its bound, or named', async () => {
  const { home, store } = await guest();
  const path = join(home, '.claude.json');
  const state = stateOf(900 * kib);
  await writeFile(path, state);
  const outcomes = new Set<string>();
  for (let turn = 0; turn < 12; turn += 1) {
    // Blanks at its end change nothing of what it says.
    const [read] = await Promise.allSettled([store.read('claude_code'), appendFile(path, ' '.repeat(400 * kib))]);
    outcomes.add(read.status === 'fulfilled' ? 'read' : (read.reason as { code: string }).code);
  }
  expect([...outcomes]).toEqual(['read', 'credential_invalid']);
});

it('a login that is larger than may leave is named, and not handed over', async () => {
  const { home, store } = await guest();
  const large = { ...account, displayName: 'n'.repeat(900 * kib) };
  await writeFile(join(home, '.claude.json'), JSON.stringify({ oauthAccount: large }));
  await expect(store.read('claude_code')).rejects.toMatchObject({
    code: 'credential_invalid',
    message: expect.stringContaining('.claude.json') as string,
  });
});

it('what costs most when it is parsed costs the agent little memory', async () => {
  const { home } = await guest();
  const reader = await startReader(fileURLToPath(new URL('fixtures/reader.mjs', import.meta.url)), [home]);
  // The first three load and compile.
  for (const turn of [1, 2, 3]) await reader.read(turn);
  for (const piece of ['[],', '{},', '"":[],', '{"a":1},']) {
    const isMember = piece.startsWith('"');
    const body = piece.repeat(Math.floor((4 * 1024 * kib - 400) / piece.length)).slice(0, -1);
    const state = isMember ? `{${body},` : `{"x":[${body}],`;
    await writeFile(join(home, '.claude.json'), `${state}"oauthAccount":${JSON.stringify(account)}}`);
    const outcome = await reader.read('.claude.json');
    requireHarmless(outcome, answerBytes.bundle);
    expect(JSON.parse(outcome.taken ?? '')).toHaveLength(2);
  }
  await reader.end('agent: files of a CLI');
});
