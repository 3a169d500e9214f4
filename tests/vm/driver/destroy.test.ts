/**
 * Conformance of each driver that a controller can be told to use here: adoption after a restart, destroying a VM at every half-built
 * stage, and that create and destroy leave nothing however often things are killed. See docs/adding-a-driver.md.
 */
import { access, readdir, readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Vm } from '@airlock/contract/api';
import { homePaths } from '@airlock/contract/home';
import type { StreamingClient } from '@airlock/contract/http-client';
import { findMemoryFolder } from '@airlock/contract/memory-folder';
import { namespaceOf } from '@airlock/contract/privileged';
import { isRunning } from '@airlock/contract/process';
import { readVmSpec, RunnerStatus, runnerFiles } from '@airlock/contract/runner';
import { tinyKernel } from '@airlock/runner/fixtures/tiny-guest';
import { chance, some } from '../../support/chance.js';
import { apiClient, endController, refusal } from '../../support/api.js';
import { startController, type RunningController } from '../../support/controller.js';
import { createTestHome, type TestHome } from '../../support/home.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../../support/leaks.js';
import { until } from '../../support/poll.js';
import { listenAsHelper, type ListeningHelper } from '../../support/privileged-helper.js';
import { useTinyImage } from './tiny-image.js';
import { describeEach } from './suite.js';
import { findOffers, kill9, patienceMs, type Offer } from './tiny-vm.js';

const cycles = Number(process.env['TEST_CYCLES'] ?? 5);
const seed = Number(process.env['TEST_SEED'] ?? 1);
const minutes = (n: number): number => n * 60_000;

let home: TestHome;
let before: Snapshot;
let controller: RunningController;
let api: StreamingClient;
/** Where networks are namespaces. */
let helper: ListeningHelper | null;
/** What the controller is told to start VMs with. */
let driver: string;
/** Where the secrets of all VMs of this home are: gone with the last of them. */
let secrets: string | undefined;

/** A home, its helper and its controller, for all tests of the suite that calls it. */
function useController({ driver: wanted, network, skip }: Offer): void {
  if (skip !== null) return;
  beforeAll(async () => {
    driver = wanted;
    home = await createTestHome({ withImages: false });
    before = await takeSnapshot({ home: home.path, names: new RegExp(basename(home.path)) });
    await useTinyImage(home, tinyKernel('standing', 'halt'));
    const memory = await findMemoryFolder();
    if ('problem' in memory) throw new Error(memory.problem);
    helper = network === 'netns' ? await listenAsHelper(home.path, { memory: memory.path }) : null;
    await start();
  }, minutes(3));

  afterAll(async () => {
    await api.close();
    await endController(controller);
    await helper?.close();
    await home.remove();
    await untilNoLeaks(before, patienceMs);
    if (secrets !== undefined && (await isThere(secrets))) throw new Error(`${secrets} was left behind.`);
  }, minutes(2));
}

async function start(): Promise<void> {
  const net = helper ? { AIRLOCK_NETWORK: 'netns', AIRLOCK_HELPER_SOCKET: helper.socket } : { AIRLOCK_NETWORK: 'user' };
  controller = await startController({ home: home.path, env: { ...net, AIRLOCK_VMM: driver } });
  api = apiClient(controller.url, controller.token);
}

async function killController(): Promise<void> {
  await api.close();
  await controller.kill9();
}

const make = async (): Promise<string> =>
  (await api.call('POST', '/api/vm', Vm, { body: { kind: 'browser', leaseMinutes: 15 } })).id;
const look = (id: string): Promise<Vm> => api.call('GET', `/api/vm/${id}`, Vm);

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
const fileOf = (id: string, name: keyof typeof runnerFiles): string => homePaths(home.path).vmFile(id, name);

async function statusOf(id: string): Promise<RunnerStatus | undefined> {
  const text = await readFile(fileOf(id, 'status'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : RunnerStatus.parse(JSON.parse(text));
}

const hasVmm = async (id: string): Promise<boolean> => typeof (await statusOf(id))?.vmm?.pid === 'number';

/** Looks as often as this host can: a stage is over in milliseconds. */
const soon = (what: string, probe: () => Promise<boolean>): Promise<unknown> =>
  until(what, probe, { timeoutMs: patienceMs, intervalMs: 1 });

async function destroyTwice(id: string): Promise<void> {
  await api.call('DELETE', `/api/vm/${id}`, null, { timeoutMs: 60_000 });
  await until(`${id} to be gone`, async () => /^(destroyed|failed)$/.test((await look(id)).state), {
    timeoutMs: patienceMs,
  });
  await api.call('DELETE', `/api/vm/${id}`, null, { timeoutMs: 60_000 });
}

/** Records stay; nothing else does. */
async function expectNothingOf(id: string): Promise<void> {
  const records: string[] = [
    ...[runnerFiles.spec, runnerFiles.status, runnerFiles.lock],
    ...[runnerFiles.runnerLog, runnerFiles.serialLog, runnerFiles.vmmLog],
  ];
  const left = await readdir(homePaths(home.path).vm(id)).catch(() => []);
  expect(left.filter((name) => !records.some((record) => name.startsWith(record)))).toEqual([]);
  const spec = await readFile(fileOf(id, 'spec'), 'utf8').catch(() => undefined);
  if (spec !== undefined) {
    const { secretFolder } = readVmSpec(spec);
    secrets = dirname(secretFolder);
    expect(await isThere(secretFolder)).toBe(false);
  }
  const status = await statusOf(id);
  for (const process of [status?.runner, status?.vmm]) if (process) expect(await isRunning(process)).toBe(false);
  const hasNetwork = (): Promise<boolean> => isThere(`/run/netns/${namespaceOf(id)}`);
  await soon('its network to be given back', async () => !(await hasNetwork()));
}

/** What is half built, and how that shows. */
const stages: readonly [string, (id: string) => Promise<boolean>][] = [
  ['with its row', () => Promise.resolve(true)],
  ['with its folder', (id) => isThere(homePaths(home.path).vm(id))],
  ['with its specification', (id) => isThere(fileOf(id, 'spec'))],
  ['with a runner that has said its first word', async (id) => (await statusOf(id)) !== undefined],
  ['with its VMM', hasVmm],
];

// A controller takes no KVM that is slower than emulation, whatever it is told.
const offers = (await findOffers()).map((offer) => ({ ...offer, skip: offer.noLinux }));

describeEach(offers, (offer) => {
  useController(offer);

  describe('a restarted controller', () => {
    it('takes the VM over that it finds, and its row says how it ended when its runner is killed', async () => {
      const id = await make();
      await soon('the VMM', () => hasVmm(id));
      const first = await statusOf(id);
      await killController();
      await start();
      expect(await statusOf(id)).toMatchObject({ epoch: 1, runner: first?.runner, vmm: first?.vmm });
      expect(first?.vmm && (await isRunning(first.vmm))).toBe(true);
      expect((await look(id)).state).toBe('starting');

      process.kill(first?.runner.pid ?? 0, 'SIGKILL');
      await until('the row to say so', async () => /^(failed|destroyed)$/.test((await look(id)).state), {
        timeoutMs: patienceMs,
      });
      expect((await look(id)).error?.code).toMatch(/^(vm_lost|runner_failed)$/);
      await expectNothingOf(id);
    });
  });

  describe('a VM is destroyed, twice, when its controller was killed', () => {
    it.each(stages)('%s', async (what, reached) => {
      const id = await make();
      await soon(what, () => reached(id));
      await killController();
      await start();
      await destroyTwice(id);
      await expectNothingOf(id);
    });

    it('and one that never was is not found', async () => {
      const error = await refusal(api.call('DELETE', '/api/vm/vm_0000000000000000', null));
      expect(error.code).toBe('not_found');
    });
  });

  it(
    `${cycles} times create, kill what chance wants, destroy: nothing is left`,
    async () => {
      const next = chance(seed);
      const killed = { vmm: 0, runner: 0, helper: 0, controller: 0 };
      for (let cycle = 0; cycle < cycles; cycle += 1) {
        const id = await make();
        const [stage, reached] = stages[Math.floor(next() * stages.length)] ?? ['made', () => Promise.resolve(true)];
        await soon(stage, () => reached(id));
        await pause(next() * 700);
        const who = some(next, ['vmm', 'runner', 'helper', 'controller'] as const);
        const { runner, vmm } = (await statusOf(id)) ?? {};
        const helpers = (await helper?.serving()) ?? [];
        const found = {
          vmm: vmm ? [vmm.pid] : [],
          runner: runner ? [runner.pid] : [],
          helper: helpers,
          controller: [],
        };
        for (const one of who) {
          for (const pid of found[one]) kill9(pid);
          killed[one] += found[one].length;
        }
        if (who.includes('controller')) {
          await killController();
          await start();
          killed.controller += 1;
        }
        await destroyTwice(id);
        if (who.includes('helper')) await helper?.sweep();
        await expectNothingOf(id);
      }
      process.stdout.write(`${cycles} cycles (seed ${seed}), killed: ${JSON.stringify(killed)}\n`);
      const mine = (await takeSnapshot(before.scope)).processes.filter((line) => line.includes(`${home.path}/vm/`));
      expect(mine).toEqual([]);
    },
    minutes(1) + cycles * 30_000,
  );
});
