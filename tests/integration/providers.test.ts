/**
 * Every provider's way through the real agent, with a stand-in that says what its CLI was recorded to say: login, hand-over from one
 * VM to the other, the CLI's own word, a prompt, and the end of the login.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CheckResult,
  CredentialBundle,
  GuestCredentials,
  LoginStatus,
  PromptFrame,
  proofName,
  versionName,
} from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import { createJsonClient, withPrefix, type JsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import { providerIds } from '@airlock/contract/provider/provider';
import { refusalIn } from '@airlock/contract/provider/refusal';
import { providers } from '@airlock/contract/provider/registry';
import { readCases } from '@airlock/contract/provider/testing';
import { runnerFiles } from '@airlock/contract/runner';
import { judgeBundle } from '@airlock/controller/vault/bundle';
import { createCliVm, type CliVm } from '../support/custody/cli-vm.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';
import { addStandIn } from '../support/stand-in-cli.js';

interface Guest {
  vm: CliVm;
  agent: JsonClient;
}

let home: string;
let before: Snapshot;
let guests: Guest[];

async function startGuest(disk: string): Promise<Guest> {
  const vmId = newId('vm');
  const vm = await createCliVm(home, vmId, disk);
  for (const id of providerIds) await addStandIn(id, join(disk, 'bin'));
  await vm.start();
  const socketPath = join(homePaths(home).vm(vmId), runnerFiles.socket);
  const runner = createJsonClient({
    baseUrl: 'http://r',
    socketPath,
    unreachable: 'runner_failed',
    name: 'the stand-in',
  });
  return { vm, agent: withPrefix(runner, '/guest') };
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-providers-'));
  before = await takeSnapshot({ home, names: new RegExp(basename(home)) });
  guests = [await startGuest(join(home, 'a')), await startGuest(join(home, 'b'))];
});

afterAll(async () => {
  await Promise.all(guests.map(async ({ vm, agent }) => Promise.all([vm.kill(), agent.close()])));
  await untilNoLeaks(before, 20_000).finally(() => rm(home, { recursive: true, force: true }));
});

const guest = (index: 0 | 1): Guest => guests[index] as Guest;

describe.each(providerIds.filter((id) => providers[id].login !== null))('%s', (id) => {
  let bundle: CredentialBundle;
  const held = async ({ agent }: Guest) =>
    (await agent.call('GET', '/credentials', GuestCredentials)).credentials.find(({ provider }) => provider === id);

  it('signs in', async () => {
    const { agent } = guest(0);
    await agent.call('POST', '/login', LoginStatus, { body: { provider: id } });
    const status = await until(
      'the login to end',
      async () => {
        const now = await agent.call('GET', '/login', LoginStatus);
        return now.state === 'succeeded' || now.state === 'failed' ? now : null;
      },
      { timeoutMs: 30_000 },
    );
    const [recording] = (await readCases(id)).recordings;
    expect(status).toMatchObject({ provider: id, state: 'succeeded', pageHost: recording?.pageHost, exitCode: 0 });
    expect(providers[id].login?.hosts).toContain(status.pageHost);
  });

  it('is handed over as files that the vault takes, with which the CLI is logged in elsewhere', async () => {
    bundle = await guest(0).agent.call('GET', `/credentials/${id}`, CredentialBundle);
    const judged = judgeBundle(id, bundle);
    expect(judged.leftOut).toEqual([]);
    bundle = judged.bundle;
    const { agent } = guest(1);
    await agent.call('PUT', `/credentials/${id}?generation=7`, null, { body: bundle });
    expect(await held(guest(1))).toMatchObject({ complete: true, generation: 7 });
    expect(await agent.call('GET', `/credentials/${id}`, CredentialBundle)).toEqual(bundle);
    const check = await agent.call('POST', `/checks/${proofName(id)}`, CheckResult, { timeoutMs: 60_000 });
    expect(check, check.output).toMatchObject({ name: proofName(id), ok: true, exitCode: 0 });
  });

  it('is not taken for well when the vendor itself refuses it, which sees the login and nobody else', async () => {
    const { vm, agent } = guest(1);
    const bin = join(vm.home, '../bin');
    const files = new Map(bundle.files.map(({ path, contentBase64 }) => [path, atob(contentBase64)]));
    const question = providers[id].login?.question?.(files, Date.now()) ?? null;
    const [status = 0] = question?.refusedBy ?? [];
    const answer = `{"error":{"code":"no_such_login","message":"'"$(cat "$0.in")"'"}}\n${status}`;
    const lines = ['#!/bin/sh', 'echo "$@" >"$0.argv"', 'tr "\\n" " " >"$0.in"', `printf '%s' '${answer}'`, ''];
    await writeFile(join(bin, 'curl'), lines.join('\n'));
    const check = await agent.call('POST', `/checks/${proofName(id)}`, CheckResult, { timeoutMs: 60_000 });
    await writeFile(join(bin, 'curl'), '#!/bin/sh\nexit 7\n');
    expect(check.ok).toBe(question === null);
    if (question === null) return;
    const { hostname } = new URL(question.url);
    expect(check).toMatchObject({
      exitCode: 0,
      output: expect.stringContaining(`${hostname} answers ${status}: no_such_login`) as string,
    });
    expect(refusalIn(providers[id].login, check.output)).toBeDefined();
    const argv = await readFile(join(bin, 'curl.argv'), 'utf8');
    for (const value of Object.values(question.headers)) {
      expect(argv).not.toContain(value);
      expect(check.output).not.toContain(value);
      expect(await readFile(join(bin, 'curl.in'), 'utf8')).toContain(value);
    }
  });

  it('tells its version', async () => {
    const name = versionName(id);
    const { ok, output } = await guest(1).agent.call('POST', `/checks/${name}`, CheckResult, { timeoutMs: 60_000 });
    expect({ ok, output }).toEqual({ ok: true, output: `${providers[id].program} 1.2.3` });
  });

  it.skipIf(providers[id].prompt === null)('answers a prompt', async () => {
    const body = { provider: id, prompt: 'Say hello.', timeoutMs: 30_000 };
    const frames: PromptFrame[] = [];
    for await (const line of await guest(1).agent.lines('POST', '/prompts', { body })) {
      frames.push(PromptFrame.parse(JSON.parse(line)));
    }
    const answer = frames.map((frame) => ('chunk' in frame ? frame.chunk : '')).join('');
    const recorded = (await readCases(id)).prompts.flatMap((one) => ('answer' in one ? [one.answer] : []));
    expect({ answer, end: frames.at(-1) }).toEqual({ answer: recorded[0], end: { exitCode: 0 } });
  });

  it('is gone from a VM when it is removed there, and stays in the other', async () => {
    await guest(0).agent.call('DELETE', `/credentials/${id}`, null);
    expect(await held(guest(0))).toMatchObject({ complete: false, fingerprint: null });
    expect(await held(guest(1))).toMatchObject({ complete: true });
    const left = await readdir(guest(0).vm.home, { recursive: true });
    const whole = providers[id].login?.credentialFiles.filter(({ delivery }) => delivery === 'replace') ?? [];
    for (const { path } of whole) expect(left).not.toContain(path);
  });
});
