import { chown, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileTexts, ProviderLogin } from '@airlock/contract/provider/facts';
import { providerIds } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import { readCases } from '@airlock/contract/provider/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { addProgram } from '../fixtures/config.js';
import { auth, benchFor, sayUrl, self, until, writeAuth, type Bench } from '../fixtures/login.js';

const isRoot = self.uid === 0;

async function isAlive(pidFile: string): Promise<boolean> {
  const pid = Number(await readFile(pidFile, 'utf8'));
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !stat.includes(') Z ');
}

describe('createLogin', () => {
  it('follows a login to its credential, and shows nothing of the address but the host', async () => {
    const { login, folder } = await benchFor(
      `[ "$1" = login ] || exit 9; ${sayUrl}; until [ -e "$0.go" ]; do sleep 0.05; done; ${writeAuth}; echo Successfully logged in`,
    );
    expect(login.status()).toMatchObject({ provider: null, state: 'idle' });
    expect(login.start('codex')).toMatchObject({ provider: 'codex', state: 'starting' });
    const opened = await until(login, 'browser_opened');
    expect(opened).toMatchObject({ pageHost: 'auth.openai.com', exitCode: null });
    expect(() => login.start('codex')).toThrow(expect.objectContaining({ code: 'login_running' }));
    await writeFile(join(folder, 'bin/codex.go'), '');
    const ended = await until(login, 'succeeded', 'failed');
    expect(ended).toMatchObject({ state: 'succeeded', exitCode: 0 });
    expect(ended.lastOutput).toContain('Successfully logged in');
    expect(ended.lastOutput).not.toContain('canary');
  });

  it('fails when the CLI ends badly, with its words', async () => {
    const { login } = await benchFor(`${sayUrl}; ${writeAuth}; echo 'Error: token=hunter2 refused'; exit 3`);
    login.start('codex');
    const ended = await until(login, 'failed');
    expect(ended.exitCode).toBe(3);
    expect(ended.lastOutput).toContain('refused');
    expect(ended.lastOutput).not.toContain('hunter2');
  });

  it('fails when the CLI ends well but left no complete credential', async () => {
    const { login } = await benchFor(`mkdir "$HOME/.codex"; echo '{"tokens":{}}' > "$HOME/.codex/auth.json"`);
    login.start('codex');
    expect(await until(login, 'failed')).toMatchObject({ exitCode: 0 });
    expect(login.status().lastOutput).toContain('lacks tokens.id_token');
  });

  it('fails when the CLI was refused, although it ends well with a complete credential', async () => {
    const refusals = [{ words: /\bTierError\b/, reason: 'Not this account.', hint: '' }];
    const { login } = await benchFor(`${writeAuth}; echo 'TierError: no longer supported'`, self, { refusals });
    login.start('codex');
    expect(await until(login, 'succeeded', 'failed')).toMatchObject({ state: 'failed', exitCode: 0 });
    expect(login.status().lastOutput).toContain('no longer supported');
  });

  it('keeps the login that only lacked a setting, and lets the CLI look at it as long as it takes', async () => {
    const setting = {
      name: 'project',
      label: 'project',
      note: '',
      pattern: /[a-z-]+/,
      variable: 'P',
      file: '.cli/env',
    };
    const script = `[ -e "$HOME/.codex/auth.json" ] || exit 7; until [ -e "$0.go" ]; do sleep 0.05; done; echo looked`;
    const { login, folder, home } = await benchFor(script, self, { settings: [setting] });
    await mkdir(join(home, '.codex'));
    await writeFile(join(home, '.codex/auth.json'), auth);
    login.start('codex', 'browser', { project: 'mine' });
    await expect.poll(() => readFile(join(home, '.cli/env'), 'utf8').catch(() => '')).toBe('P=mine\n');
    await writeFile(join(folder, 'bin/codex.go'), '');
    expect(await until(login, 'succeeded', 'failed')).toMatchObject({ state: 'succeeded', exitCode: 0 });
    expect(login.status().lastOutput).toContain('looked');
  });

  it('finds a setting where it looks for it before it starts, beside what else stands there', async () => {
    const script = `cat "$HOME/.cli/env" > "$0.seen"; ${writeAuth}`;
    const setting = {
      name: 'project',
      label: 'project',
      note: '',
      pattern: /[a-z-]+/,
      variable: 'PROJECT',
      file: '.cli/env',
    };
    const { login, folder, home } = await benchFor(script, self, { settings: [setting] });
    await mkdir(join(home, '.cli'));
    await writeFile(join(home, '.cli/env'), 'PROJECT=old\nOTHER=x\n');
    expect(() => login.start('codex', 'browser', { project: 'a b' })).toThrow(/no project/);
    expect(login.status().state).toBe('idle');
    login.start('codex', 'browser', { project: 'mine' });
    await until(login, 'succeeded');
    expect(await readFile(join(folder, 'bin/codex.seen'), 'utf8')).toBe('OTHER=x\nPROJECT=mine\n');
  });

  it('fails when there is no such program, and may be started again', async () => {
    const { login, folder } = await benchFor(writeAuth);
    await writeFile(join(folder, 'bin/codex'), '#!/nowhere/interpreter\n');
    login.start('codex');
    expect(await until(login, 'failed')).toMatchObject({ pageHost: null });
    await addProgram(folder, 'codex', writeAuth);
    login.start('codex');
    expect(await until(login, 'succeeded')).toMatchObject({ exitCode: 0 });
  });

  it('gives the CLI a terminal that answers, and a clean environment', async () => {
    const script = `env > "$0.env"; stty -echo raw min 1; printf '\\033[6n'
      answer=$(dd bs=1 count=6 2>/dev/null | od -An -c | tr -d ' '); stty sane; echo "answer=<$answer>"; stty size; tty; exit 1`;
    vi.stubEnv('CI', 'true');
    vi.stubEnv('DEBIAN_FRONTEND', 'noninteractive');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { login, folder, home } = await benchFor(script);
    login.start('codex');
    const { lastOutput } = await until(login, 'failed');
    expect(lastOutput).toContain('answer=<033[1;1R>');
    expect(lastOutput).toMatch(/^24 80$/m);
    expect(lastOutput).toMatch(/^\/dev\/pts\//m);
    const lines = (await readFile(join(folder, 'bin/codex.env'), 'utf8')).trimEnd().split('\n');
    const variables = Object.fromEntries(lines.map((line) => line.split(/=(.*)/, 2)));
    expect(variables).toMatchObject({ HOME: home, DISPLAY: ':0', BROWSER: '/usr/local/bin/airlock-open-url' });
    expect(variables).toMatchObject({ TERM: 'xterm-256color', HTTPS_PROXY: 'http://10.0.2.100:3128' });
    expect(variables).not.toHaveProperty('CI');
    expect(variables).not.toHaveProperty('DEBIAN_FRONTEND');
  });

  it('ends the CLI and what it started, also when they do not want to', async () => {
    const { login, folder } = await benchFor(
      `trap '' TERM HUP; (trap '' TERM HUP; sh -c 'echo $$ > "$0.child"; exec sleep 300' "$0") & ${sayUrl}; wait; sleep 300`,
    );
    login.start('codex');
    await until(login, 'browser_opened');
    const pidFile = join(folder, 'bin/codex.child');
    await expect.poll(() => isAlive(pidFile).catch(() => false)).toBe(true);
    await login.stop();
    expect(login.status()).toMatchObject({ state: 'failed', exitCode: null });
    expect(await isAlive(pidFile)).toBe(false);
    await login.stop();
  });

  it('leaves nothing running in the terminal of a CLI that ended well', async () => {
    const { login, folder } = await benchFor(
      `trap '' HUP; sh -c 'echo $$ > "$0.child"; exec sleep 300' "$0" & until [ -s "$0.child" ]; do :; done; ${writeAuth}`,
    );
    login.start('codex');
    await until(login, 'succeeded');
    expect(await isAlive(join(folder, 'bin/codex.child'))).toBe(false);
  });

  it('refuses a way to sign in that the CLI does not have', async () => {
    const { login } = await benchFor('', self, { deviceCode: null });
    expect(() => login.start('codex', 'device_code')).toThrow(
      expect.objectContaining({ code: 'provider_unavailable' }),
    );
    expect(login.status().state).toBe('idle');
  });

  it.skipIf(!isRoot)('runs the CLI as another user without any of root’s groups (needs root)', async () => {
    const user = { uid: 1000, gid: 1000 };
    const { login, folder, home } = await benchFor(`id; cat /proc/$$/status | grep Groups; ${writeAuth}`, user);
    await chown(folder, user.uid, user.gid);
    await chown(home, user.uid, user.gid);
    login.start('codex');
    const { lastOutput } = await until(login, 'succeeded', 'failed');
    expect(lastOutput).toContain('uid=1000');
    expect(lastOutput).toMatch(/Groups:\s*$/m);
    expect(login.status().state).toBe('succeeded');
  });

  it('ends a CLI that stays although its credential is complete', async () => {
    const { login } = await benchFor(`${sayUrl}; ${writeAuth}; exec sleep 300`);
    login.start('codex');
    await until(login, 'succeeded', 'failed');
    expect(login.status()).toMatchObject({ state: 'succeeded', exitCode: null });
  });
});

describe('a login that its provider describes further', () => {
  const cli = (script: string, changes: Partial<ProviderLogin>): Promise<Bench> => benchFor(script, self, changes);

  it('gets its files, variables and terminal size before it starts', async () => {
    const { login, home } = await cli(
      `cat "$HOME/.cli/settings" "$HOME/.own"; echo "mode=$CLI_MODE"; stty size; ls -l "$HOME/.cli"; ${writeAuth}`,
      {
        env: { CLI_MODE: 'quiet' },
        terminal: { columns: 120, rows: 40 },
        before: [
          { path: '.cli/settings', mode: 0o640, text: '{"seeded":1}\n' },
          { path: '.own', mode: 0o600, text: '{"seeded":2}', comments: true },
        ],
      },
    );
    await writeFile(join(home, '.own'), '{"own":"what the person has",/* mine */"seeded":0}\n');
    login.start('codex');
    const { lastOutput, state } = await until(login, 'succeeded', 'failed');
    expect(lastOutput).toMatch(
      /^\{"seeded":1\}\n\{"own":"what the person has",\/\* mine \*\/"seeded":2\}\nmode=quiet\n40 120\n/,
    );
    expect(lastOutput).toContain('-rw-r-----');
    expect(state).toBe('succeeded');
  });

  it('fails, and starts nothing, when a file cannot be put in its place', async () => {
    const { login, home, folder } = await cli('touch "$0.ran"', {
      before: [{ path: '.cli/settings', mode: 0o600, text: 'x' }],
    });
    await symlink('/etc', join(home, '.cli'));
    login.start('codex');
    expect((await until(login, 'failed')).lastOutput).toContain('.cli/settings is not a plain file');
    expect(await readdir(join(folder, 'bin'))).toEqual(['codex']);
  });

  it('has each of its questions answered once', async () => {
    const ask = `printf '\\033[1mContinue?\\033[0m '; read -r one; printf 'Sure\\r\\n  now? '; read -r two`;
    const { login } = await cli(
      `${ask}; echo "got <$one> <$two>"; echo "left=$(timeout --foreground 0.5 head -c 1 | wc -c)"; ${writeAuth}`,
      {
        answers: [
          { question: /Continue\?/, keys: 'y\r' },
          { question: /Sure\s+now\?/, keys: '\r' },
        ],
      },
    );
    login.start('codex');
    const { lastOutput } = await until(login, 'succeeded', 'failed');
    expect(lastOutput).toContain('got <y> <>');
    expect(lastOutput).toContain('left=0');
  });

  const deviceCode = {
    argv: ['codex', 'login', '--device'] as const,
    env: { CLI_MODE: 'device' },
    url: /https:\/\/auth\.example\/device/,
    code: /code ([A-Z0-9]{4}-[A-Z0-9]{4})/,
  };

  it('shows page and code of a device login, and the code nowhere else', async () => {
    const { login, folder } = await cli(
      `echo "$*,$CLI_MODE" > "$0.how"; echo 'Open https://auth.example/device with'; echo 'code AB12-CD34 please'; until [ -e "$0.go" ]; do sleep 0.05; done; ${writeAuth}`,
      { deviceCode },
    );
    login.start('codex', 'device_code');
    const opened = await until(login, 'browser_opened');
    expect(opened).toMatchObject({
      method: 'device_code',
      pageHost: null,
      deviceCode: { url: 'https://auth.example/device', code: 'AB12-CD34' },
    });
    expect(opened.lastOutput).not.toContain('AB12');
    expect(await readFile(join(folder, 'bin/codex.how'), 'utf8')).toBe('login --device,device\n');
    await writeFile(join(folder, 'bin/codex.go'), '');
    expect((await until(login, 'succeeded', 'failed')).state).toBe('succeeded');
  });

  it('refuses a device login where the CLI has none', async () => {
    const { login } = await cli('', { deviceCode: null });
    expect(() => login.start('codex', 'device_code')).toThrow(
      expect.objectContaining({ code: 'provider_unavailable' }),
    );
  });

  const pasteCode = { prompt: /Paste code here >/, code: /[a-z]+-[0-9]+#[a-z]+/ };

  it.each([
    ['echoes', ''],
    ['hides', 'stty -echo;'],
  ])('types a pasted code into a terminal that %s it, and shows it nowhere', async (_what, mode) => {
    const { login, folder } = await cli(
      `${mode} until [ -e "$0.ask" ]; do sleep 0.05; done; printf 'Paste code here > '; read -r code; echo "$code" > "$0.code"; ${writeAuth}`,
      { pasteCode },
    );
    const notAsked = expect.objectContaining({ code: 'login_running' }) as Error;
    await expect(login.input('first-1#a')).rejects.toThrow(notAsked);
    login.start('codex');
    await expect(login.input('first-1#a')).rejects.toThrow(notAsked);
    await writeFile(join(folder, 'bin/codex.ask'), '');
    await expect.poll(() => login.status().takesCode, { timeout: 10_000 }).toBe(true);
    for (const wrong of ['first', 'first-1#a\nrm -rf', 'first-1#a b'])
      await expect(login.input(wrong)).rejects.toMatchObject({ code: 'invalid_request' });
    await login.input(' canary-4711#secret\n');
    const ended = await until(login, 'succeeded', 'failed');
    expect(ended).toMatchObject({ state: 'succeeded', takesCode: false });
    expect(ended.lastOutput).not.toContain('canary');
    expect(await readFile(join(folder, 'bin/codex.code'), 'utf8')).toBe('canary-4711#secret\n');
    await expect(login.input('first-1#a')).rejects.toThrow(notAsked);
  });

  it('starts anew after it was ended, with nothing left of the first', async () => {
    const { login, folder } = await cli(`echo $$ >> "$0.pids"; ${sayUrl}; exec sleep 300`, {});
    const pids = async (): Promise<number[]> =>
      (await readFile(join(folder, 'bin/codex.pids'), 'utf8')).trim().split('\n').map(Number);
    for (const round of [1, 2, 3]) {
      login.start('codex');
      await until(login, 'browser_opened');
      expect(await pids()).toHaveLength(round);
      await login.stop();
      expect(login.status().state).toBe('failed');
    }
    for (const pid of await pids()) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('can be ended before its program has started', async () => {
    const { login, folder } = await cli('touch "$0.ran"; exec sleep 300', {
      before: [{ path: '.cli/settings', mode: 0o600, text: 'x' }],
    });
    login.start('codex');
    await login.stop();
    expect(login.status()).toMatchObject({ state: 'failed', exitCode: null });
    expect(await readdir(join(folder, 'bin'))).toEqual(['codex']);
  });
});

describe.each(providerIds.flatMap((id) => (providers[id].login ? [{ id, login: providers[id].login }] : [])))(
  'an attempt of $id after one whose credential was refused',
  ({ id, login: facts }) => {
    const paths = [...facts.credentialFiles, ...(facts.before ?? [])].map(({ path }) => path);

    async function textsBelow(folder: string): Promise<FileTexts> {
      const found = await Promise.all(
        paths.map(async (path) => [path, await readFile(join(folder, path), 'utf8').catch(() => null)] as const),
      );
      return new Map(found.flatMap(([path, text]) => (text === null ? [] : [[path, text]])));
    }

    /** A CLI that signs in at once: it notes what it found in its home, and writes the rest of a whole login. */
    async function signInAtOnce(): Promise<Bench & { program: string }> {
      const bench = await benchFor('');
      const program = join(bench.folder, 'bin', providers[id].program);
      const { complete } = await readCases(id);
      for (const [path, text] of complete[0]?.files ?? []) {
        if (facts.before?.some((one) => one.path === path)) continue;
        await mkdir(dirname(join(`${program}.login`, path)), { recursive: true });
        await writeFile(join(`${program}.login`, path), text);
      }
      await addProgram(
        bench.folder,
        providers[id].program,
        `cp -r "$HOME" "$0.$(ls -d "$0".[0-9] 2>/dev/null | wc -l)"; cp -r "$0.login/." "$HOME/"`,
      );
      return { ...bench, program };
    }

    it('finds what the first one found, by whatever way it is, and nothing of its login', async () => {
      const { login, program } = await signInAtOnce();
      const methods = ['browser', facts.deviceCode ? 'device_code' : 'browser', 'browser'] as const;
      for (const [at, method] of methods.entries()) {
        login.start(id, method);
        expect(await until(login, 'succeeded', 'failed')).toMatchObject({ state: 'succeeded', exitCode: 0 });
        const found = await textsBelow(`${program}.${at}`);
        expect(facts.inspectCredential(found)).toMatchObject({ complete: false });
        for (const { path, text } of facts.before ?? [])
          expect(JSON.parse(found.get(path) ?? 'null')).toEqual(JSON.parse(text));
      }
    });
  },
);
