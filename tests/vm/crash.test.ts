/**
 * SIGKILL at the boundaries of a sign-in, with the real controller, runner, QEMU, agent and Codex CLI. The person signs in by device
 * code, so that nobody needs to look at a screen. Each ends resumed and completed, or failed with the truth; an active
 * credential and its CLI VM are never harmed. (An agent that is killed is played in the controller's own tests.)
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProviderList, StartSessionResponse, VmList, type Vm } from '@airlock/contract/api';
import { CheckResult } from '@airlock/contract/guest';
import type { JsonClient } from '@airlock/contract/http-client';
import { RunnerStatus } from '@airlock/contract/runner';
import { isFinal, Session } from '@airlock/contract/session';
import { apiClient, endController } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';
import { finishOnSecondDevice } from '../support/second-device.js';

let home: TestHome;
let before: Snapshot;
let internet: FakeInternet;
let controller: RunningController;
let api: JsonClient;

async function start(): Promise<void> {
  const env = {
    AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
    AIRLOCK_PROXY_PORT_BASE: String(internet.port),
    AIRLOCK_EXTRA_CA: join(home.path, 'test-ca.pem'),
  };
  controller = await startController({ home: home.path, env });
  api = apiClient(controller.url, controller.token);
}

async function killController(): Promise<void> {
  await controller.kill9();
  await api.close();
  await start();
}

async function killProcess(vmId: string, which: 'runner' | 'vmm'): Promise<void> {
  const text = await readFile(join(home.path, 'vm', vmId, 'status.json'), 'utf8');
  const process_ = RunnerStatus.parse(JSON.parse(text))[which];
  if (process_) process.kill(process_.pid, 'SIGKILL');
}

const connect = async (): Promise<string> =>
  (await api.call('POST', '/api/vm/auth', StartSessionResponse, { body: { provider: 'codex' } })).sessionId;
const get = (id: string): Promise<Session> => api.call('GET', `/api/vm/auth/${id}`, Session);

/** The session as its events tell it, until `stop` says so or the stream ends. */
async function follow(id: string, stop: (session: Session) => boolean): Promise<Session | undefined> {
  const headers = { authorization: `Bearer ${controller.token}` };
  const response = await fetch(`${controller.url}/api/vm/auth/${id}/events`, { headers });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end < 0) break;
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data === undefined) continue;
      const session = Session.parse(JSON.parse(data));
      // Leaving the loop closes the stream.
      if (stop(session)) return session;
    }
  }
  return undefined;
}

/** Follows the session to its end, and plays the person: asks for a code as soon as that is possible, and types it elsewhere. */
async function signIn(id: string, onStep: (session: Session) => Promise<boolean>): Promise<Session> {
  let typed = '';
  for (;;) {
    const session = await follow(id, () => true);
    if (!session) continue;
    if (isFinal(session.status)) return session;
    if (await onStep(session)) continue;
    const { deviceCode, method } = session.login ?? {};
    if (session.status === 'awaiting_user_auth' && method === 'browser')
      await api.call('POST', `/api/vm/auth/${id}/fallback`, Session, { body: { method: 'device_code' } });
    const code = deviceCode?.code;
    if (deviceCode && code && code !== typed) {
      typed = code;
      await finishOnSecondDevice(internet, { url: deviceCode.url, code });
    }
    if (session.login === null && session.notice !== null) return session;
    await follow(id, ({ revision }) => revision > session.revision);
  }
}

const vms = async (): Promise<Vm[]> => (await api.call('GET', '/api/vm', VmList)).vms;
const cliVm = async (): Promise<Vm | undefined> => (await vms()).find(({ kind }) => kind === 'cli');

/** The credential that was valid before still is, in the CLI VM that was there before. */
async function expectUnharmed(cliVmId: string): Promise<void> {
  const proof = await api.call('POST', `/api/vm/${cliVmId}/check`, CheckResult, {
    body: { name: 'proof_codex' },
    timeoutMs: 300_000,
  });
  expect(proof).toMatchObject({ ok: true, output: expect.stringContaining('Logged in using ChatGPT') as string });
  const { providers } = await api.call('GET', '/api/providers', ProviderList);
  expect(providers.find(({ id }) => id === 'codex')).toMatchObject({ state: 'connected', sessionId: null });
  await until(
    'every browser VM to be gone',
    async () => (await vms()).every(({ kind, state }) => kind === 'cli' || ['destroyed', 'failed'].includes(state)),
    { timeoutMs: 30_000 },
  );
}

beforeAll(async () => {
  home = await createTestHome();
  before = await takeSnapshot({ home: home.path });
  internet = await createFakeInternet({ ports: [0, 0] });
  await writeFile(join(home.path, 'test-ca.pem'), internet.caPem);
  await start();
}, 180_000);

afterAll(async () => {
  await api.close();
  await endController(controller);
  await internet.close();
  await home.remove();
  await untilNoLeaks(before, 20_000);
}, 180_000);

describe('a sign-in', () => {
  it('completes although the controller is killed at every state and every step of it', async () => {
    const id = await connect();
    const killed = new Set<string>();
    const session = await signIn(id, async ({ status, steps }) => {
      const running = steps
        .filter((step) => step.status === 'running' && step.name !== 'cli_vm')
        .map(({ name }) => name);
      const moment = `${status} ${running.join(' ')}`;
      if (killed.has(moment)) return false;
      killed.add(moment);
      await killController();
      return true;
    });
    console.info(`controller killed at: ${[...killed].join(', ')}`);
    expect(session).toMatchObject({ status: 'completed', error: null, notice: null });
    // `pending` ends before anybody can look; the controller's own tests stop there.
    for (const status of ['vm_created', 'ready', 'awaiting_user_auth', 'delivering'])
      expect([...killed].some((moment) => moment.startsWith(status))).toBe(true);
    const made = (await vms()).map(({ kind }) => kind).sort();
    expect(made).toEqual(['browser', 'cli']);
    await api.call('DELETE', `/api/vm/${session.browserVmId}`, null);
    await expectUnharmed(session.cliVmId ?? '');
  }, 600_000);

  it.each([
    ['runner', 'vm_created'],
    ['vmm', 'awaiting_user_auth'],
  ] as const)(
    'fails with the truth when the %s is killed at %s',
    async (which, moment) => {
      const cli = await cliVm();
      const id = await connect();
      let killed = false;
      const session = await signIn(id, async ({ status, browserVmId }) => {
        if (killed || status !== moment || browserVmId === null) return false;
        const file = join(home.path, 'vm', browserVmId, 'status.json');
        await until('its runner', async () => (await readFile(file, 'utf8').catch(() => '')).includes('"pid"'), {
          timeoutMs: 30_000,
        });
        await killProcess(browserVmId, which);
        killed = true;
        return true;
      });
      expect(session.status).toBe('failed');
      expect(['vm_lost', 'runner_failed', 'vmm_failed']).toContain(session.error?.code);
      await expectUnharmed(cli?.id ?? '');
    },
    400_000,
  );

  it('goes back to the person when the CLI VM is killed under the hand-over, and the old credential stays', async () => {
    const cli = await cliVm();
    const id = await connect();
    let killed = false;
    const session = await signIn(id, async ({ status }) => {
      if (killed || status !== 'delivering') return false;
      killed = true;
      await killProcess(cli?.id ?? '', 'vmm');
      return true;
    });
    expect(session).toMatchObject({ status: 'awaiting_user_auth', desktopReady: true, login: null });
    expect(session.notice?.code).toMatch(/vm_lost|vmm_failed|vm_not_running|guest_unreachable/);
    const { status } = await api.call('POST', `/api/vm/auth/${id}/cancel`, Session, { timeoutMs: 60_000 });
    expect(status).toBe('cancelled');
    await api.call('POST', '/api/credentials/codex/check', null, { timeoutMs: 300_000 });
    await expectUnharmed(cli?.id ?? '');
    expect((await get(id)).status).toBe('cancelled');
  }, 600_000);
});
