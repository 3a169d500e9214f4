/** Prompts through the agent's own HTTP, with shell programs in place of the CLIs. */
import { createServer } from 'node:http';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { PromptFrame, type GuestConfig } from '@airlock/contract/guest';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createAgent } from '../agent.js';
import { addProgram, driveImage, exampleConfig, temporaryFolder, testSettings } from '../fixtures/config.js';

const auth = '{"tokens":{"id_token":"i","access_token":"a","refresh_token":"r"}}';
const say = (text: string): string => `{"type":"item.completed","item":{"type":"agent_message","text":"${text}"}}`;
/** In a script: waits until a file is there. */
const waitFor = (name: string): string => `while [ ! -e "$HOME/${name}" ]; do sleep 0.02; done`;

interface Running {
  client: JsonClient;
  home: string;
  end(): Promise<void>;
}

/** A configured agent with this program as `codex`. */
async function start(
  script: string,
  options: { config?: Partial<GuestConfig>; login?: boolean } = {},
): Promise<Running> {
  const folder = await temporaryFolder();
  const settings = await testSettings(folder);
  const config = exampleConfig({ kind: 'cli', vncPassword: null, ...options.config });
  const agent = createAgent(settings, driveImage(config));
  const server = createServer((request, response) => agent.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = createJsonClient({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: config.agentToken,
    unreachable: 'guest_unreachable',
    name: 'the agent',
  });
  onTestFinished(async () => {
    await agent.end();
    server.closeAllConnections();
    server.close();
    await client.close();
  });
  await addProgram(folder, 'codex', script);
  await expect
    .poll(() =>
      readFile(join(folder, 'run/configured')).then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  const home = settings.home;
  if (options.login !== false) {
    await mkdir(join(home, '.codex'));
    await writeFile(join(home, '.codex/auth.json'), auth, { mode: 0o600 });
  }
  return { client, home, end: () => agent.end() };
}

interface Ask {
  prompt?: string;
  timeoutMs?: number;
  cwd?: string;
  provider?: string;
  statuses?: true;
  signal?: AbortSignal;
}

async function* ask({ client }: Running, { signal, ...more }: Ask = {}): AsyncGenerator<PromptFrame> {
  const body = { provider: 'codex', prompt: 'hello', timeoutMs: 20_000, ...more };
  for await (const line of await client.lines('POST', '/prompts', { body, ...(signal && { signal }) }))
    yield PromptFrame.parse(JSON.parse(line));
}

async function whole(running: Running, more: Ask = {}): Promise<PromptFrame[]> {
  const frames: PromptFrame[] = [];
  for await (const frame of ask(running, more)) frames.push(frame);
  return frames;
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'it worked',
    (error: { code: string }) => error.code,
  );
const isAlive = async (pid: string): Promise<boolean> => {
  const status = await readFile(`/proc/${Number(pid)}/status`, 'utf8').catch(() => 'State: Z');
  return !/State:\s+Z/.test(status);
};

describe('what a CLI tells while there is no answer', () => {
  const again = (text: string): string => `{"type":"error","message":"Reconnecting... ${text}"}`;
  const script = `cat >/dev/null; echo '${again('1/5 (no answer)')}'; ${waitFor('go')}; echo '${again('waiting for network (\\u001b[1mtoken=abc)')}' >&2; echo '${say('hi')}'; echo '${say('no')}' >&2`;

  it('comes at once, from both streams, without secrets, for who asks for it', async () => {
    const running = await start(script);
    const frames = ask(running, { statuses: true });
    expect(await frames.next()).toMatchObject({ value: { status: 'reconnecting: 1/5 (no answer)' } });
    await writeFile(join(running.home, 'go'), '');
    const rest: PromptFrame[] = [];
    for await (const frame of frames) rest.push(frame);
    expect(rest.slice(0, -1)).toEqual(
      expect.arrayContaining([{ status: 'reconnecting: waiting for network (token=[redacted]' }, { chunk: 'hi\n' }]),
    );
    expect(rest.slice(2)).toEqual([{ exitCode: 0 }]);
  });

  it('is nothing to a controller that does not know of it', async () => {
    const running = await start(script);
    await writeFile(join(running.home, 'go'), '');
    expect(await whole(running)).toEqual([{ chunk: 'hi\n' }, { exitCode: 0 }]);
  });
});

describe('an answer', () => {
  it('comes while the CLI is still at it, free of escape sequences, and then its exit code', async () => {
    const running = await start(
      `cat >/dev/null; echo '${say('\\u001b[1mone\\u001b[0m')}'; ${waitFor('go')}; echo '${say('two')}'`,
    );
    const frames = ask(running);
    expect(await frames.next()).toMatchObject({ value: { chunk: 'one\n' } });
    await writeFile(join(running.home, 'go'), '');
    expect(await frames.next()).toMatchObject({ value: { chunk: 'two\n' } });
    expect(await frames.next()).toMatchObject({ value: { exitCode: 0 } });
    expect(await frames.next()).toMatchObject({ done: true });
  });

  it('is of the text on standard input, which no argument or variable shows', async () => {
    const running = await start(`{ tr '\\0' ' ' </proc/self/cmdline; env; pwd; } >"$HOME/seen"; cat >"$HOME/text"`);
    const prompt = '--help $(touch "$HOME/pwned") `id` \n; "quoted" ü🙂';
    expect(await whole(running, { prompt, cwd: 'work/deep-er' })).toEqual([{ exitCode: 0 }]);
    expect(await readFile(join(running.home, 'text'), 'utf8')).toBe(prompt);
    const seen = await readFile(join(running.home, 'seen'), 'utf8');
    expect(seen).not.toContain('pwned');
    expect(seen).toContain(join(running.home, 'work/deep-er'));
    expect(seen).toContain('HTTPS_PROXY=');
    expect(seen).not.toContain('AIRLOCK_HOME_DIR');
  });

  it('that is long comes in bounded frames', async () => {
    const running = await start(
      `cat >/dev/null; printf '%s' '${say('').slice(0, -3)}'; head -c 100000 /dev/zero | tr '\\0' x; echo '"}}'`,
    );
    const frames = await whole(running);
    expect(frames.slice(0, -1).map((frame) => ('chunk' in frame ? frame.chunk.length : 0))).toEqual([
      ...Array<number>(6).fill(16_384),
      100_001 - 6 * 16_384,
    ]);
  });

  it('is made no faster than it is taken', async () => {
    const running = await start(
      `cat >/dev/null; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i >"$HOME/count"; echo '${say('x'.repeat(4000))}'; done`,
    );
    const frames = ask(running);
    await frames.next();
    const count = async (): Promise<number> => Number(await readFile(join(running.home, 'count'), 'utf8'));
    // What the pipes and sockets between hold is a few megabytes; 80 were wanted.
    let before = -1;
    await expect
      .poll(
        async () => {
          const now = await count();
          const stands = now === before;
          before = now;
          return stands;
        },
        { interval: 500, timeout: 12_000 },
      )
      .toBe(true);
    expect(before).toBeLessThan(15_000);
    await frames.return(undefined);
  });
});

describe('a failure', () => {
  it('of the CLI is told with its last words, secrets removed', async () => {
    const running = await start(`echo 'about to fail, token: canary-4711' >&2; exit 7`);
    const frames = await whole(running);
    expect(frames).toEqual([
      {
        error: expect.objectContaining({ code: 'prompt_failed', message: 'codex ended with exit code 7.' }) as unknown,
      },
      { exitCode: 7 },
    ]);
    expect(JSON.stringify(frames)).toContain('about to fail');
    expect(JSON.stringify(frames)).not.toContain('canary');
  });

  it('that the CLI itself tells is told once, redacted', async () => {
    const running = await start(
      `echo '{"type":"turn.failed","error":{"message":"refused: Bearer canary-canary-4711"}}'; exit 1`,
    );
    const frames = await whole(running);
    expect(frames).toMatchObject([
      { error: { code: 'prompt_failed', message: 'refused: Bearer [redacted]' } },
      { exitCode: 1 },
    ]);
  });

  it('to start is told: no program, or no place to run in', async () => {
    const running = await start('exit 0');
    await symlink('/etc', join(running.home, 'work'));
    expect(await whole(running)).toMatchObject([{ error: { code: 'invalid_request' } }, { exitCode: null }]);
    await rm(join(running.home, '../bin/codex'));
    expect(await whole(running, { cwd: 'other' })).toMatchObject([
      { error: { code: 'command_failed' } },
      { exitCode: null },
    ]);
  });

  it('is a CLI that takes too long; nothing of it stays', async () => {
    const running = await start(`echo $$ >"$HOME/pid"; trap '' INT; sleep 300`);
    const frames = await whole(running, { timeoutMs: 500 });
    expect(frames).toMatchObject([{ error: { code: 'prompt_timeout' } }, { exitCode: null }]);
    expect(await isAlive(await readFile(join(running.home, 'pid'), 'utf8'))).toBe(false);
  });
});

describe('processes', () => {
  const family = `echo $$ >>"$HOME/pids"; sleep 300 & echo $! >>"$HOME/pids"; setsid sh -c 'echo $$ >>"$HOME/pids"; exec sleep 300' &`;
  const pidsOf = async ({ home }: Running): Promise<string[]> =>
    (await readFile(join(home, 'pids'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
  const living = async (running: Running): Promise<number> =>
    (await Promise.all((await pidsOf(running)).map(isAlive))).filter(Boolean).length;

  it('of a cancelled prompt all end, first by an interrupt', async () => {
    const running = await start(
      `trap 'touch "$HOME/interrupted"; exit 130' INT; ${family} echo '${say('hi')}'; while :; do sleep 0.05; done`,
    );
    const cancel = new AbortController();
    const frames = ask(running, { signal: cancel.signal });
    expect(await frames.next()).toMatchObject({ value: { chunk: 'hi\n' } });
    await expect.poll(() => living(running)).toBe(3);
    cancel.abort();
    await expect.poll(() => living(running), { timeout: 8000 }).toBe(0);
    await readFile(join(running.home, 'interrupted'));
  });

  it('of a CLI that ignores the interrupt end as well', async () => {
    const running = await start(`trap '' INT TERM HUP; ${family} echo '${say('hi')}'; while :; do sleep 0.05; done`);
    const frames = ask(running);
    await frames.next();
    await expect.poll(() => living(running)).toBe(3);
    await frames.return(undefined);
    await expect.poll(() => living(running), { timeout: 8000 }).toBe(0);
  });

  it('that a CLI leaves behind end with it, and its answer is whole', async () => {
    const running = await start(
      `cat >/dev/null; ${family} ${waitFor('pids')}; while [ $(wc -l <"$HOME/pids") -lt 3 ]; do sleep 0.02; done; echo '${say('done')}'; exit 3`,
    );
    expect(await whole(running)).toMatchObject([
      { chunk: 'done\n' },
      { error: { code: 'prompt_failed' } },
      { exitCode: 3 },
    ]);
    expect(await living(running)).toBe(0);
  });

  it('end with the agent', async () => {
    const running = await start(`trap '' INT; ${family} echo '${say('hi')}'; sleep 300`);
    await ask(running).next();
    await expect.poll(() => living(running)).toBe(3);
    await running.end();
    expect(await living(running)).toBe(0);
  });
});

it('a CLI is asked also where its own file is too large to be looked at: it reads that itself', async () => {
  const running = await start(`cat >/dev/null; echo '${say('hi')}'`);
  await writeFile(join(running.home, '.codex/auth.json'), `{"history":"${'x'.repeat(5 * 1024 * 1024)}"}`);
  expect(await whole(running)).toEqual([{ chunk: 'hi\n' }, { exitCode: 0 }]);
});

describe('refused is', () => {
  it.each([
    ['a prompt for a provider without login', {}, { login: false }, 'not_connected'],
    ['a prompt in a browser VM', {}, { config: { kind: 'browser' as const, vncPassword: 'vncpass1' } }, 'forbidden'],
    ['no text', { prompt: '' }, {}, 'invalid_request'],
    ['too much text', { prompt: 'x'.repeat(200_001) }, {}, 'invalid_request'],
    ['a place outside of the home', { cwd: 'work/../../etc' }, {}, 'invalid_request'],
    ['an absolute place', { cwd: '/etc' }, {}, 'invalid_request'],
    ['an unknown provider', { provider: 'sh' }, {}, 'invalid_request'],
    ['no time', { timeoutMs: 0 }, {}, 'invalid_request'],
  ])('%s', async (_what, request, options, code) => {
    expect(await codeOf(whole(await start('exit 0', options), request))).toBe(code);
  });

  it('the fifth at a time, until one has ended', async () => {
    const running = await start(`echo '${say('hi')}'; ${waitFor('go')}`);
    const four = [0, 1, 2, 3].map(() => ask(running));
    for (const frames of four) await frames.next();
    expect(await codeOf(whole(running))).toBe('prompts_busy');
    await four[0]?.return(undefined);
    await expect.poll(() => codeOf(ask(running).next()), { timeout: 8000 }).toBe('it worked');
  });
});
