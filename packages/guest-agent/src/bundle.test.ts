/** The bundle as it is shipped: built, started as a process of its own, spoken to over HTTP. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CheckResult, CredentialBundle, GuestHealth, LoginStatus } from '@airlock/contract/guest';
import { trialHosts } from '@airlock/contract/provider/registry';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { addProgram, driveImage, exampleConfig, temporaryFolder, testEnvironment } from './fixtures/config.js';

const packageFolder = fileURLToPath(new URL('..', import.meta.url));
const bundle = join(packageFolder, 'dist/agent.cjs');
const tokens = { id_token: 'i', access_token: 'canary-token-4711', refresh_token: 'r' };
const auth = JSON.stringify({ tokens }, null, 2);
const config = exampleConfig();

interface Running {
  client: JsonClient;
  anonymous: JsonClient;
  folder: string;
  child: ChildProcess;
  /** Everything that it wrote to its log. */
  log: () => string;
}

/** The port that the agent says it listens on. */
function portOf(child: ChildProcess, log: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The agent ended with ${code}: ${log()}`)));
    child.stderr?.on('data', () => {
      const port = /listening \{"port":(\d+)/.exec(log())?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
}

async function startAgent(drive: Buffer | null): Promise<Running> {
  const folder = await temporaryFolder();
  const env = await testEnvironment(folder);
  if (drive) await writeFile(join(folder, 'drive'), drive);
  // Where no node_modules are near: the file must be enough.
  const program = join(folder, 'agent.cjs');
  await copyFile(bundle, program);
  const child = spawn(process.execPath, [program], { env, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stderr.on('data', (chunk) => (text += String(chunk)));
  const port = await portOf(child, () => text);
  const open = (token?: string): JsonClient => {
    const target = {
      baseUrl: `http://127.0.0.1:${port}`,
      unreachable: 'guest_unreachable',
      name: 'the agent',
    } as const;
    const client = createJsonClient(token === undefined ? target : { ...target, token });
    onTestFinished(() => client.close());
    return client;
  };
  return { client: open(config.agentToken), anonymous: open(), folder, child, log: () => text };
}

async function configured(): Promise<Running> {
  const running = await startAgent(driveImage(config));
  await expect.poll(running.log, { timeout: 10_000 }).toContain('configured ');
  return running;
}

function exited(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', resolve));
}

beforeAll(async () => {
  await promisify(execFile)(process.execPath, ['build.mjs'], { cwd: packageFolder });
});

describe('the bundle', () => {
  it('applies its drive and says so', async () => {
    const { client, anonymous, folder } = await configured();
    const health = await client.call('GET', '/health', GuestHealth);
    expect(health).toMatchObject({ vmId: config.vmId, generation: 1, ready: false, error: null });
    expect(health.desktop).toMatchObject({ display: false, browser: false });
    await expect(anonymous.call('GET', '/health', GuestHealth)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect((await stat(join(folder, 'run/configured'))).size).toBe(0);
    expect((await stat(join(folder, 'run/vnc-password'))).mode & 0o777).toBe(0o400);
    expect(await readFile(join(folder, 'home/.profile'), 'utf8')).toBe('# profile\n');
  });

  it('is ready without a desktop when it serves a CLI VM, and takes a newer generation on request', async () => {
    const cli = { ...config, kind: 'cli' as const, vncPassword: null };
    const { client, folder, log } = await startAgent(driveImage(cli));
    await expect.poll(log, { timeout: 10_000 }).toContain('configured ');
    expect(await client.call('GET', '/health', GuestHealth)).toMatchObject({ ready: true, desktop: null });
    await writeFile(join(folder, 'drive'), driveImage({ ...cli, timezone: 'Asia/Tokyo' }, 2));
    expect(await client.call('POST', '/config/reload', GuestHealth)).toMatchObject({ generation: 2, error: null });
    expect(await readFile(join(folder, 'run/timezone'), 'utf8')).toBe('Asia/Tokyo\n');
  });

  it('stays up without a drive, says why, and lets nobody do anything', async () => {
    const { anonymous, client, folder, log } = await startAgent(null);
    const read = (): Promise<string | undefined> =>
      anonymous.call('GET', '/health', GuestHealth).then((health) => health.error?.code);
    await expect.poll(read, { timeout: 10_000 }).toBe('config_drive_invalid');
    await expect(client.call('POST', '/power-off', null)).rejects.toMatchObject({ code: 'unauthenticated' });
    // The drive's name may come late.
    await writeFile(join(folder, 'drive'), driveImage(config));
    await expect.poll(log, { timeout: 10_000 }).toContain('configured ');
    expect(await client.call('GET', '/health', GuestHealth)).toMatchObject({ generation: 1, error: null });
  });

  it('carries a login to its credential, and moves the credential', async () => {
    const { client, folder, log } = await configured();
    await addProgram(
      folder,
      'codex',
      `echo 'https://auth.openai.com/oauth/authorize?state=canary-state-4711 '; umask 077; mkdir -p "$HOME/.codex"; echo '${auth}' > "$HOME/.codex/auth.json"`,
    );
    const gone = client.call('GET', '/credentials/codex', CredentialBundle);
    await expect(gone).rejects.toMatchObject({ code: 'not_found' });
    const started = await client.call('POST', '/login', LoginStatus, { body: { provider: 'codex' } });
    expect(started).toMatchObject({ provider: 'codex', state: 'starting' });
    const state = (): Promise<string> => client.call('GET', '/login', LoginStatus).then((status) => status.state);
    await expect.poll(state, { timeout: 10_000 }).toBe('succeeded');
    const credential = await client.call('GET', '/credentials/codex', CredentialBundle);
    expect(credential.files).toMatchObject([{ path: '.codex/auth.json', mode: 0o600 }]);
    await client.call('DELETE', '/credentials/codex', null);
    await client.call('PUT', '/credentials/codex', null, { body: credential });
    expect(await client.call('GET', '/credentials/codex', CredentialBundle)).toEqual(credential);
    for (const secret of ['canary', config.agentToken, config.vncPassword ?? '']) expect(log()).not.toContain(secret);
  });

  it('refuses what the protocol does not have', async () => {
    const { client } = await configured();
    const call = (method: string, path: string, body?: unknown): Promise<void> =>
      client.call(method, path, null, body === undefined ? {} : { body });
    await expect(call('POST', '/login', { provider: 'codex', method: 'telepathy' })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await expect(call('POST', '/login/input', { code: 'abc' })).rejects.toMatchObject({ code: 'login_running' });
    await expect(call('POST', '/login/input', { keys: '\r' })).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(call('GET', '/credentials/nobody')).rejects.toMatchObject({ code: 'provider_unknown' });
    await expect(call('POST', '/checks/shell')).rejects.toMatchObject({ code: 'not_found' });
    await expect(call('GET', '/credentials/..%2f..%2fetc')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('takes what a controller of before or to come gives it, and keeps only what it knows of that', async () => {
    const next = { next: { secret: 'canary' } };
    const { client, folder } = await startAgent(driveImage({ ...config, ...next } as typeof config));
    await addProgram(folder, 'codex', 'exit 1');
    const health = (): Promise<GuestHealth> => client.call('GET', '/health', GuestHealth);
    await expect
      .poll(() => health().catch(() => null), { timeout: 10_000 })
      .toMatchObject({ generation: 1, error: null });
    const file = { path: '.codex/auth.json', mode: 0o600, contentBase64: Buffer.from(`${auth}\n`).toString('base64') };
    const known = { provider: 'codex', files: [file] };
    await client.call('PUT', '/credentials/codex', null, {
      body: { ...known, files: [{ ...file, ...next }], ...next },
    });
    const kept = await client.call('GET', '/credentials/codex', z.unknown());
    expect(kept).toEqual(known);
    // No more than a controller of protocol 2 takes, which refuses what it does not know.
    const body = { provider: 'codex', argv: ['sh'], ...next };
    expect(Object.keys(await client.call('POST', '/login', LoginStatus.strict(), { body }))).toHaveLength(8);
  });

  it('runs checks as programs of the person would run', async () => {
    const { client, folder } = await configured();
    await addProgram(
      folder,
      'codex',
      `[ "$1 $2" = 'login status' ] && echo 'Logged in using ChatGPT' || echo 'codex-cli 1.2.3'`,
    );
    await addProgram(folder, 'curl', `case "$*" in *'https://${trialHosts()[0]}') printf 502;; *) printf 403;; esac`);
    await addProgram(folder, 'claude', 'echo broken >&2; exit 4');
    const check = (name: string): Promise<CheckResult> => client.call('POST', `/checks/${name}`, CheckResult);
    const version = { ok: true, exitCode: 0, output: 'codex-cli 1.2.3' };
    expect(await check('version_codex')).toMatchObject({ name: 'version_codex', ...version });
    // As a controller of before asks, which also wants to read its own word in the answer.
    expect(await check('codex')).toMatchObject({ name: 'codex', ...version });
    expect(await check('proof_codex')).toMatchObject({ ok: true });
    const [first, second] = trialHosts();
    expect(await check('fetch')).toMatchObject({ ok: true, output: `${first}: 502\n${second}: 403` });
    expect(await check('claude')).toMatchObject({ ok: false, exitCode: 4, output: 'broken' });
    expect(await check('version_gemini_cli')).toMatchObject({
      ok: false,
      exitCode: null,
      output: expect.stringContaining('ENOENT'),
    });
  });

  it('leaves no process behind when it ends', async () => {
    const { client, folder, child } = await configured();
    await addProgram(folder, 'codex', `trap '' HUP TERM; echo $$ > "$0.pid"; exec sleep 300`);
    await client.call('POST', '/login', LoginStatus, { body: { provider: 'codex' } });
    const pid = (): Promise<string> => readFile(join(folder, 'bin/codex.pid'), 'utf8').catch(() => '');
    await expect.poll(pid, { timeout: 10_000 }).not.toBe('');
    const end = exited(child);
    child.kill('SIGTERM');
    expect(await end).toBe(0);
    const status = await readFile(`/proc/${Number(await pid())}/status`, 'utf8').catch(() => 'gone');
    expect(status).toMatch(/^gone$|State:\s+Z/);
  });

  it('refuses to start with a setting that it does not know', async () => {
    const env = { ...(await testEnvironment(await temporaryFolder())), AIRLOCK_AGENT_PORTS: '1' };
    const child = spawn(process.execPath, [bundle], { env, stdio: 'ignore' });
    expect(await exited(child)).not.toBe(0);
  });
});
