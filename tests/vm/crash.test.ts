/**
 * SIGKILL at the boundaries of a sign-in, with the real controller, runner, QEMU, agent and Codex CLI; only Chromium is left out.
 * Each ends resumed and completed, or failed with the truth; an active credential and its CLI VM are never harmed.
 *
 * Runner and VMM end with each other, so one of the two is killed, in turn, at the first statuses and at the last. Both at each, and the
 * agents of both VMs at each step: TEST_CRASH=all, as `npm run soak -- --only crash` sets it. `npm test` kills an agent once.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CrashScenario, momentOf } from '../support/crash.js';
import { until } from '../support/poll.js';

const scenario = new CrashScenario();
const minutes = (n: number): number => n * 60_000;
const everything = process.env['TEST_CRASH'] === 'all';
const gone = /^(vm_lost|runner_failed|vmm_failed|guest_unreachable|vm_not_running)$/;

beforeAll(async () => scenario.open(), minutes(3));
afterEach(async () => scenario.endSignIn(), minutes(2));
afterAll(async () => scenario.closeAndExpectNoLeaks(), minutes(3));

const told = (what: string, killed: Iterable<string>): void =>
  void process.stdout.write(`${what} killed at: ${[...killed].join(', ')}\n`);

/** Every status between `pending`, which ends before anybody can look, and the end. */
const statuses = ['vm_created', 'ready', 'awaiting_user_auth', 'authenticating', 'delivering'] as const;
/** What is killed at which status. */
const kills = everything
  ? statuses.flatMap((status) => (['runner', 'vmm'] as const).map((which) => [which, status] as const))
  : ([
      ['runner', 'vm_created'],
      ['vmm', 'ready'],
      ['runner', 'delivering'],
    ] as const);
const expectEach = (killed: Iterable<string>): void =>
  expect([...killed].map((moment) => moment.split(' ')[0])).toEqual(expect.arrayContaining([...statuses]));

describe('a sign-in', () => {
  it(
    'completes although the controller is killed at every state and every step of it, and once the agent with it',
    async () => {
      const id = await scenario.connect();
      const killed = new Set<string>();
      const session = await scenario.signIn(id, async (now) => {
        const moment = momentOf(now);
        if (killed.has(moment)) return false;
        killed.add(moment);
        if (moment.endsWith('(code)')) await scenario.kill(now.browserVmId ?? '', 'agent');
        await scenario.killController();
        return true;
      });
      told('controller', killed);
      expect(session).toMatchObject({ status: 'completed', error: null, notice: null });
      expectEach(killed);
      expect((await scenario.liveVms()).map(({ kind }) => kind).sort()).toEqual(['browser', 'cli']);
      await scenario.expectUnharmed(session.cliVmId ?? '');
    },
    minutes(8),
  );

  if (everything) completesWithoutAgents();

  it.each(kills)(
    'ends with the truth when the %s of its browser VM is killed at %s',
    async (which, status) => {
      const cli = await scenario.cliVmId();
      const id = await scenario.connect();
      let killed = false;
      const session = await scenario.signIn(id, async (now) => {
        if (killed || now.status !== status || now.browserVmId === null) return false;
        const vmId = now.browserVmId;
        await scenario.kill(vmId, which);
        killed = true;
        return true;
      });
      expect(killed).toBe(true);
      // What is sealed needs no desktop any more.
      expect(session.status).toBe(status === 'delivering' ? 'completed' : 'failed');
      if (status !== 'delivering') expect(session.error?.code).toMatch(gone);
      await scenario.untilNoBrowserVm();
      await scenario.expectUnharmed(cli);
    },
    minutes(5),
  );

  it(
    'survives that its CLI VM is killed: before the hand-over it is started again, under it the person is asked again',
    async () => {
      const cli = await scenario.cliVmId();
      const id = await scenario.connect();
      const tries = [
        { awaiting_user_auth: 'vmm', 'delivering delivered': 'runner' },
        { awaiting_user_auth: 'runner', 'delivering delivered': 'vmm' },
        { authenticating: 'vmm', 'delivering proved': 'runner' },
        { authenticating: 'runner', 'delivering proved': 'vmm' },
      ] as const;
      // Once before the hand-over and once under it; each restart of the CLI VM costs half a minute.
      const once = [{ awaiting_user_auth: 'vmm', 'delivering proved': 'runner' }] as const;
      for (const both of everything ? tries : once) {
        const left = new Map<string, 'runner' | 'vmm'>(Object.entries(both));
        const session = await scenario.signIn(id, async (now) => {
          const moment = [momentOf(now), now.status].find((one) => left.has(one));
          if (moment === undefined) return false;
          // The hand-over begins when the CLI VM is ready, and is told then; before it there is time to wait for that.
          if (now.status === 'delivering' && !(await scenario.isReady(cli))) return false;
          await scenario.whileHeld(async () => {
            await until('the CLI VM to be ready', () => scenario.isReady(cli), { timeoutMs: minutes(2) });
            await scenario.kill(cli, left.get(moment) ?? 'vmm');
          });
          left.delete(moment);
          return true;
        });
        expect([...left]).toEqual([]);
        expect(session).toMatchObject({ status: 'awaiting_user_auth', desktopReady: true, login: null });
        expect(session.notice?.code).toMatch(gone);
        await scenario.askForCode(id);
      }
      expect(await scenario.signIn(id)).toMatchObject({ status: 'completed', error: null, cliVmId: cli });
      await scenario.expectUnharmed(cli);
    },
    minutes(10),
  );
});

function completesWithoutAgents(): void {
  it(
    'completes although the agents of both VMs are killed at every state and every step of it',
    async () => {
      const cli = await scenario.cliVmId();
      const id = await scenario.connect();
      const killed = { browser: new Set<string>(), cli: new Set<string>() };
      const session = await scenario.signIn(id, async (now) => {
        const moment = momentOf(now);
        const browser = now.browserVmId;
        if (killed.browser.has(moment) || browser === null || !(await scenario.isPoweredOn(browser))) return false;
        killed.browser.add(moment);
        const cliRuns = await scenario.isPoweredOn(cli);
        if (cliRuns) killed.cli.add(moment);
        await scenario.whileHeld(async () => {
          await scenario.kill(browser, 'agent');
          if (cliRuns) await scenario.kill(cli, 'agent');
        });
        return true;
      });
      told('agent of the browser VM', killed.browser);
      told('agent of the CLI VM', killed.cli);
      expect(session).toMatchObject({ status: 'completed', error: null, notice: null, cliVmId: cli });
      expectEach(killed.browser);
      expect([...killed.cli]).toEqual(expect.arrayContaining(['delivering delivered', 'delivering proved']));
      await scenario.expectUnharmed(cli);
    },
    minutes(8),
  );
}
