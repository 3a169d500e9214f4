/**
 * Sign-ins in which something is killed: a controller of its own with cheap real VMs, a person who signs in to Codex by device
 * code, and the processes that a test kills. The steps that tests of crashes are made of.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { ProviderList, StartSessionResponse, VmList, type Vm } from '@airlock/contract/api';
import { CheckResult } from '@airlock/contract/guest';
import type { StreamingClient } from '@airlock/contract/http-client';
import { isRunning, killExactly } from '@airlock/contract/process';
import { RunnerStatus } from '@airlock/contract/runner';
import { isFinal, Session } from '@airlock/contract/session';
import { apiClient, endController } from './api.js';
import { startController, type RunningController } from './controller.js';
import { createFakeInternet, type FakeInternet } from './fake-internet.js';
import { createTestHome, type TestHome } from './home.js';
import { killInside, useKillableImage } from './killable-image.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from './leaks.js';
import { until } from './poll.js';
import { finishOnSecondDevice } from './second-device.js';

/** Where a session is: its status, the steps that run, and whether a device code is shown. */
export function momentOf({ status, steps, login }: Session): string {
  const running = steps.filter((step) => step.status === 'running' && step.name !== 'cli_vm').map(({ name }) => name);
  return [status, ...running, ...(login?.deviceCode ? ['(code)'] : [])].join(' ');
}

/** Called at each change; true says that it has done something, so that the session is looked at anew before anything else. */
type OnStep = (session: Session) => Promise<boolean>;

export class CrashScenario {
  readonly #endings: (() => Promise<unknown>)[] = [];
  #before!: Snapshot;
  #home!: TestHome;
  #internet!: FakeInternet;
  #controller!: RunningController;
  #sessionId: string | undefined;
  api!: StreamingClient;

  async open(): Promise<void> {
    this.#home = await createTestHome();
    this.#endings.push(this.#home.remove);
    this.#before = await takeSnapshot({ home: this.#home.path });
    await useKillableImage(this.#home);
    this.#internet = await createFakeInternet({ ports: [0, 0] });
    this.#endings.push(this.#internet.close);
    await writeFile(join(this.#home.path, 'test-ca.pem'), this.#internet.caPem);
    await this.#start();
    this.#endings.push(async () => endController(this.#controller));
    this.#endings.push(async () => this.api.close());
  }

  async #start(): Promise<void> {
    const env = {
      AIRLOCK_UPSTREAM_PROXY: this.#internet.upstreamTemplate,
      AIRLOCK_PROXY_PORT_BASE: String(this.#internet.port),
      AIRLOCK_EXTRA_CA: join(this.#home.path, 'test-ca.pem'),
    };
    this.#controller = await startController({ home: this.#home.path, env });
    this.api = apiClient(this.#controller.url, this.#controller.token);
  }

  async closeAndExpectNoLeaks(): Promise<void> {
    for (const end of this.#endings.splice(0).toReversed()) await end();
    await untilNoLeaks(this.#before, 20_000);
  }

  /** SIGKILL, and the next one. */
  async killController(): Promise<void> {
    await this.#controller.kill9();
    await this.api.close();
    await this.#start();
  }

  /** What it does while the controller can do nothing happens at the very moment that the test has seen. */
  async whileHeld(work: () => Promise<void>): Promise<void> {
    const { pid } = this.#controller;
    process.kill(pid, 'SIGSTOP');
    try {
      await work();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }

  /** SIGKILL for a process of this VM, once there is one; resolves when the signal is sent. */
  async kill(vmId: string, which: 'runner' | 'vmm' | 'agent'): Promise<void> {
    if (which === 'agent') return killInside(this.#home, vmId, 'agent');
    const target = await until(`the ${which} of ${vmId}`, async () => (await this.#vmStatus(vmId))?.[which], {
      timeoutMs: 30_000,
      intervalMs: 50,
    });
    await killExactly(target);
  }

  async isPoweredOn(vmId: string): Promise<boolean> {
    return ['booting', 'configured', 'ready'].includes((await this.#vmStatus(vmId))?.phase ?? '');
  }

  async isReady(vmId: string): Promise<boolean> {
    return (await this.#vmStatus(vmId))?.phase === 'ready';
  }

  /** What the VM's runner says; null when there is none, or none any more. */
  async #vmStatus(vmId: string): Promise<RunnerStatus | null> {
    const file = homePaths(this.#home.path).vmFile(vmId, 'status');
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text === null) return null;
    const status = RunnerStatus.parse(JSON.parse(text));
    return (await isRunning(status.runner)) ? status : null;
  }

  async connect(): Promise<string> {
    const body = { provider: 'codex' };
    const { sessionId } = await this.api.call('POST', '/api/vm/auth', StartSessionResponse, { body });
    this.#sessionId = sessionId;
    return sessionId;
  }

  /** Cancels the last sign-in if it is still open: what went wrong in one test is not in the way of the next. */
  async endSignIn(): Promise<void> {
    const id = this.#sessionId;
    if (id === undefined || isFinal((await this.session(id)).status)) return;
    await this.api.call('POST', `/api/vm/auth/${id}/cancel`, Session, { timeoutMs: 60_000 });
  }

  session(id: string): Promise<Session> {
    return this.api.call('GET', `/api/vm/auth/${id}`, Session);
  }

  /** Begins the login anew by device code. */
  async askForCode(id: string): Promise<void> {
    await this.api.call('POST', `/api/vm/auth/${id}/fallback`, Session, { body: { method: 'device_code' } });
  }

  /**
   * Follows the session, and plays the person: asks for a code as soon as that is possible, and types it elsewhere. Returns at
   * the session's end, or when a try has failed and it is the person's turn.
   */
  async signIn(id: string, onStep: OnStep = async () => false): Promise<Session> {
    let typed = '';
    let seen = -1;
    for (;;) {
      const session = await this.#next(id, seen);
      seen = session.revision;
      if (isFinal(session.status)) return session;
      if (await onStep(session)) {
        seen = -1;
        continue;
      }
      const { login, notice, status } = session;
      if (login === null && notice !== null) return session;
      if (status !== 'awaiting_user_auth' || login === null) continue;
      const code = login.deviceCode;
      if (login.method === 'browser') await this.askForCode(id);
      else if (code?.code && code.code !== typed) {
        typed = code.code;
        await finishOnSecondDevice(this.#internet, { url: code.url, code: typed });
      }
    }
  }

  /** The session as its events tell it, once it is newer than `seen`. */
  async #next(id: string, seen: number): Promise<Session> {
    for await (const { data } of await this.api.events('GET', `/api/vm/auth/${id}/events`)) {
      const session = Session.parse(JSON.parse(data));
      if (session.revision > seen) return session;
    }
    return this.session(id);
  }

  async #vms(): Promise<Vm[]> {
    return (await this.api.call('GET', '/api/vm', VmList)).vms;
  }

  /** Those that a person has; one whose making a kill has cut short stays as a record of it. */
  async liveVms(): Promise<Vm[]> {
    return (await this.#vms()).filter(({ state }) => !['destroyed', 'failed'].includes(state));
  }

  async cliVmId(): Promise<string> {
    const vm = (await this.liveVms()).find(({ kind }) => kind === 'cli');
    expect(vm).toBeDefined();
    return vm?.id ?? '';
  }

  /** Ends what is left of a sign-in; then its credential, or the one before, is the active one, and the CLI accepts it. */
  async expectUnharmed(cliVmId: string): Promise<void> {
    const live = await this.liveVms();
    expect(live.filter(({ kind }) => kind === 'cli').map(({ id }) => id)).toEqual([cliVmId]);
    for (const { id, kind } of live) if (kind === 'browser') await this.api.call('DELETE', `/api/vm/${id}`, null);
    const body = { name: 'proof_codex' };
    const proof = await this.api.call('POST', `/api/vm/${cliVmId}/check`, CheckResult, { body, timeoutMs: 300_000 });
    expect(proof).toMatchObject({ ok: true, output: expect.stringContaining('Logged in using ChatGPT') as string });
    const { providers } = await this.api.call('GET', '/api/providers', ProviderList);
    expect(providers.find(({ id }) => id === 'codex')).toMatchObject({ state: 'connected', sessionId: null });
  }

  /** Nothing of a sign-in that failed is left, without anybody's doing. */
  async untilNoBrowserVm(): Promise<void> {
    await until('every browser VM to be gone', async () => (await this.liveVms()).every(({ kind }) => kind === 'cli'), {
      timeoutMs: 30_000,
    });
  }
}
