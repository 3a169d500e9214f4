/** The built program, run as people run it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Command } from 'commander';
import { createProgram } from './program.js';
import { useController, useHome } from './testing.js';

const home = useHome();
const { airlock } = home;

const leaves = (command: Command, path: string[] = []): string[][] =>
  command.commands.length === 0 ? [path] : command.commands.flatMap((inner) => leaves(inner, [...path, inner.name()]));

/** What a command writes for --help, in this process. */
async function helpOf(path: string): Promise<string> {
  let text = '';
  const listen = (command: Command): void => {
    command.exitOverride().configureOutput({ writeOut: (part) => (text += part), getOutHasColors: () => false });
    command.commands.forEach(listen);
  };
  const program = createProgram();
  listen(program);
  await expect(program.parseAsync([...path.split(' '), '--help'], { from: 'user' })).rejects.toMatchObject({
    exitCode: 0,
  });
  return text;
}

describe('help', () => {
  const all = leaves(createProgram());
  test('every command the documents name is there', () => {
    expect(all.map((path) => path.join(' '))).toEqual([
      'up',
      'doctor',
      'config',
      'image build',
      'image verify',
      'image list',
      'image show',
      'image diff',
      'image promote',
      'image rollback',
      'image prune',
      'firecracker install',
      'firecracker gate',
      'firecracker status',
      'firecracker remove',
      'auth start',
      'auth show',
      'auth list',
      'auth trace',
      'auth cancel',
      'auth extend',
      'auth answer',
      'auth callback',
      'auth watch',
      'prompt',
      'vm list',
      'vm show',
      'vm logs',
      'vm stop',
      'vm start',
      'vm restart',
      'vm update',
      'vm reset',
      'vm backup',
      'vm restore',
      'vm destroy',
      'user create',
      'user list',
      'user disable',
      'user enable',
      'user remove',
      'user rotate-token',
      'user sign-ins',
      'user sign-out',
      'login-url',
      'credential list',
      'credential check',
      'credential remove',
      'credential set-api-key',
      'vault status',
      'vault rotate',
      'vault backup',
      'vault restore',
      'audit',
      'selftest',
    ]);
  });
  // Of this process: a program for each of them costs half a second, and `prints what the commands say` runs it.
  test.each(all.map((path) => path.join(' ')))('%s --help shows an example', async (path) => {
    const text = await helpOf(path);
    expect(text).toContain(`airlock ${path}`);
    expect(text).toMatch(/\nExample:\n {2}\S+/);
  });
  test.each(['auth start', 'image build'])('%s --help prints what the commands say, and ends with 0', async (path) => {
    const { exitCode, stdout } = await airlock([...path.split(' '), '--help']);
    expect(exitCode).toBe(0);
    expect(stdout.trim()).toBe((await helpOf(path)).trim());
  });
});

test('a misspelled command is an error with a suggestion', async () => {
  const { exitCode, stderr } = await airlock(['doctr']);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('Did you mean doctor?');
});

test('wrong settings are listed all at once', async () => {
  const env = { AIRLOCK_PORT: 'x', AIRLOCK_ACCEL: 'fast', AIRLOCK_PROT: '1', AIRLOCK_UPSTREAM_PROXY: 'canary-secret' };
  const { exitCode, stderr } = await airlock(['config'], env);
  expect(exitCode).toBe(1);
  for (const name of Object.keys(env)) expect(stderr).toContain(`${name}:`);
  expect(stderr).toContain('code: config_invalid');
  expect(stderr).toContain('hint: ');
  expect(stderr).not.toContain('canary');
});

test('config --json', async () => {
  const { stdout } = await airlock(['config', '--json'], { AIRLOCK_PORT: '4100' });
  const { settings } = JSON.parse(stdout) as { settings: { name: string; value: string }[] };
  expect(settings.find(({ name }) => name === 'AIRLOCK_PORT')).toMatchObject({ value: '4100', source: 'environment' });
});

test('doctor --json has the agreed form and shows no secret', async () => {
  const proxy = 'http://canary-user:canary-pass@127.0.0.1:1';
  const { exitCode, stdout } = await airlock(['doctor', '--json'], { AIRLOCK_UPSTREAM_PROXY: proxy });
  const report = JSON.parse(stdout) as { ready: boolean; findings: { about: string }[]; facts: unknown };
  expect(report).toMatchObject({
    chosen: { accel: expect.stringMatching(/^(kvm|tcg)$/) as string, vmsThatFit: expect.any(Number) as number },
    facts: { node: process.versions.node, image: null, controller: null, upstream: { address: '127.0.0.1:1' } },
  });
  expect(report.findings.map(({ about }) => about)).toContain('Virtualisation');
  expect(exitCode).toBe(report.ready ? 0 : 1);
  expect(stdout).not.toContain('canary');
});

test.each([
  ['vm list', /No controller is running for .*controller_unreachable/s],
  ['auth start codex', /No controller is running for .*npm run up.*controller_unreachable/s],
  ['vm show ../../etc', /is not the id of a VM.*invalid_request/s],
  ['vm stop ../../etc', /is not the id of a VM.*invalid_request/s],
  ['vm restart all', /is not the id of a VM.*invalid_request/s],
  ['vm logs vm_0000000000000000', /holds no log.*not_found/s],
  ['selftest --minutes none', /expected a number.*invalid_request/s],
])('%s without a controller is a clear error', async (line, message) => {
  const { exitCode, stderr, stdout } = await airlock(line.split(' '));
  expect(exitCode).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(message);
});

test('vm logs shows the end of every log, without control characters', async () => {
  const folder = join(home.path, 'vm', 'vm_0000000000000000');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'serial.log'), 'one\ntwo\u001B[31m\nthree\n');
  await writeFile(join(folder, 'runner.log'), 'only\n');
  await writeFile(join(folder, 'spec.json'), '{}');
  const { stdout } = await airlock(['vm', 'logs', 'vm_0000000000000000', '--lines', '2']);
  expect(stdout).toBe('==> runner.log <==\nonly\n\n==> serial.log <==\ntwo[31m\nthree\n');
});

describe('with a controller', () => {
  const id = 'ses_0123456789abcdef';
  const at = '2026-01-01T00:00:00.000Z';
  const session = (status: string, revision: number) => ({
    id,
    sessionId: id,
    provider: 'codex',
    status,
    revision,
    createdAt: at,
    updatedAt: at,
    deadlineAt: null,
    expiresAt: null,
    expiresAtMost: null,
    destroyAt: null,
    browserVmId: null,
    cliVmId: null,
    desktopReady: false,
    steps: [
      { name: 'browser_vm', title: 'Start it', status: 'done', startedAt: at, finishedAt: at, detail: null },
      {
        name: 'desktop',
        title: 'Show it',
        status: 'running',
        startedAt: at,
        finishedAt: null,
        detail: `step ${revision}`,
      },
    ],
    login: null,
    notice: null,
    error: status === 'timeout' ? { code: 'sign_in_timeout', message: 'Too late.', hint: 'Start again.' } : null,
  });

  const { calls } = useController(home, (call, response) => {
    if (call.endsWith('/events')) {
      const states = call.includes('fedcba') ? ['pending', 'completed'] : ['pending', 'timeout'];
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      states.forEach((status, n) =>
        response.write(`id: ${n}\nevent: session\ndata: ${JSON.stringify(session(status, n))}\n\n`),
      );
      return undefined;
    }
    const answers: Record<string, unknown> = {
      'POST /api/vm/auth': { sessionId: id, provider: 'codex', status: 'pending' },
      [`POST /api/vm/auth/${id}/extend`]: {
        ...session('awaiting_user_auth', 4),
        expiresAt: '2026-01-01T00:10:00.000Z',
      },
    };
    return answers[call];
  });

  test('calls carry the token of this home', async () => {
    const { stdout } = await airlock(['auth', 'start', 'codex', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ sessionId: id, status: 'pending' });
    expect(calls).toEqual(['POST /api/vm/auth Bearer the-token']);
  });

  test('extend says until when', async () => {
    const { stdout } = await airlock(['auth', 'extend', id]);
    expect(stdout).toBe(`${id} awaiting_user_auth until 2026-01-01T00:10:00.000Z\n`);
    expect(calls).toEqual([`POST /api/vm/auth/${id}/extend Bearer the-token`]);
  });

  test('an error answer keeps its code, message and hint', async () => {
    const { exitCode, stderr } = await airlock(['auth', 'show', 'nothing']);
    expect(exitCode).toBe(1);
    expect(stderr).toBe('error: No such thing.\nhint: Look again.\ncode: not_found\n');
  });

  test.each([
    [id, 1, /timeout: Too late\.\nStart again\.\ncode: sign_in_timeout/],
    ['ses_fedcba9876543210', 0, /00:00:00 {2}completed\n$/],
  ])('watch %s prints each change once and ends with %d', async (watched, code, end) => {
    const { exitCode, stdout } = await airlock(['auth', 'watch', watched]);
    expect(exitCode).toBe(code);
    expect(stdout.match(/✓ Start it/g)).toHaveLength(1);
    expect(stdout).toContain('… Show it: step 0\n');
    expect(stdout).toContain('… Show it: step 1\n');
    expect(stdout).toMatch(end);
  });
});
