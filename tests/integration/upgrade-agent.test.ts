/**
 * The controller of this version takes over from each landed one: on its database, and with the agent of its images in the CLI VM
 * that runs; and with an agent to come, which answers more than is known. The VM itself is played, by a stand-in for the landed runner.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CredentialList, PromptEvent, VmList, type Vm } from '@airlock/contract/api';
import { driveSize, encodeSlot } from '@airlock/contract/config-drive';
import { CheckResult, formerCheckNames, GuestHealth, proofName, versionName } from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import { createJsonClient, type JsonClient, type StreamingClient } from '@airlock/contract/http-client';
import { formerIds } from '@airlock/contract/provider/former-ids';
import { openStore } from '@airlock/controller/store/open';
import { silentLog, testSettings } from '@airlock/controller/store/testing';
import { apiClient } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createCliVm, guestConfig, type CliVm } from '../support/custody/cli-vm.js';
import {
  allRows,
  createLandedHome,
  landedVersions,
  writeLandedManifest,
  type LandedSecrets,
  type Rows,
} from '../support/landed.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

/** Answers what checks and proofs ask of any CLI of the image. */
const anyCli = `#!/bin/sh
case "$*" in
  'login status') echo 'Logged in using ChatGPT';;
  exec*) cat >/dev/null; echo '{"type":"item.completed","item":{"type":"agent_message","text":"Hello"}}';;
  *) echo 'the-cli 1.2.3';;
esac
`;

const landed = (await landedVersions()).map((version) => ({ name: `after version ${version.version}`, version }));
const ages = [
  ...landed.map((age) => ({ ...age, isToCome: false })),
  ...landed.slice(0, 1).map(({ version }) => ({ name: 'with an agent to come', version, isToCome: true })),
];

describe.each(ages)('$name', ({ version, isToCome }) => {
  let home: string;
  let before: Rows;
  let secrets: LandedSecrets;
  let snapshot: Snapshot;
  let controller: RunningController;
  let ada: StreamingClient;
  let admin: JsonClient;
  let agent: JsonClient;
  let vm: CliVm;
  let vmId: string;
  const disk = (): string => join(home, 'disk');
  const rowOf = (name: string, rows: Rows): Record<string, unknown> | undefined => {
    const user = rows['users']?.find((row) => row['name'] === name);
    return rows['vms']?.find((row) => row['kind'] === 'cli' && row['user_id'] === user?.['id']);
  };

  beforeAll(async () => {
    ({ home, before } = await createLandedHome(version));
    snapshot = await takeSnapshot({ home, names: new RegExp(basename(home)) });
    secrets = await version.secrets();
    const row = rowOf('ada', before);
    vmId = row?.['id'] as string;
    await writeLandedManifest(version, home, row?.['image_id'] as string, isToCome);
    const bundle = join(home, 'agent.cjs');
    await version.writeAgent(bundle);
    vm = await createCliVm(home, vmId, disk(), isToCome ? { fromFuture: true } : { bundle });
    for (const name of ['codex', 'claude', 'gemini']) {
      await writeFile(join(disk(), 'bin', name), anyCli, { mode: 0o755 });
    }
    await vm.start();
    const socketPath = homePaths(home).vmFile(vmId, 'socket');
    agent = createJsonClient({ baseUrl: 'http://r', socketPath, unreachable: 'runner_failed', name: 'the stand-in' });
    const held = secrets.credentials.find(({ userId, state }) => userId === adaId() && state === 'active');
    await agent.call('PUT', '/guest/credentials/codex?generation=1', null, { body: held?.bundle });
    controller = await startController({ home, env: { AIRLOCK_CREDENTIAL_POLL_S: '1' } });
    ada = apiClient(controller.url, secrets.token);
    admin = apiClient(controller.url, controller.token);
  }, 180_000);

  afterAll(async () => {
    await Promise.all([ada, admin, agent].map((client) => client?.close()));
    await controller?.stop();
    await vm?.kill();
    await untilNoLeaks(snapshot, 20_000).finally(() => rm(home, { recursive: true, force: true }));
  }, 60_000);

  const adaId = (): unknown => rowOf('ada', before)?.['user_id'];
  const credential = async () =>
    (await ada.call('GET', '/api/credentials', CredentialList)).credentials.find(
      ({ provider, state }) => provider === 'codex' && state === 'active',
    );

  it('the CLI VM that runs is adopted, for the user whose token is still good', async () => {
    const { vms } = await ada.call('GET', '/api/vm', VmList);
    expect(vms.filter(({ kind }) => kind === 'cli')).toMatchObject([{ id: vmId, state: 'running' }]);
    // Its runner cannot put the present settings into force.
    await until('a word on its settings', () => controller.log().includes('comes from another version'), {
      timeoutMs: 30_000,
    });
  });

  it('its credential is still the one that the VM holds, and what the CLI makes of it is stored', async () => {
    const held = await until('a look at the credential', async () => (await credential())?.holderVmId, {
      timeoutMs: 30_000,
      explain: () => controller.log().slice(-3000),
    });
    expect(held).toBe(vmId);
    const { generation } = (await credential()) ?? { generation: 0 };
    const file = join(vm.home, '.codex/auth.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace('third', 'fourth'));
    await until('the next generation', async () => ((await credential())?.generation ?? 0) > generation, {
      timeoutMs: 30_000,
    });
  });

  /** Of what the landed version knew; by the names of today. */
  const known = Object.values(formerIds).flatMap((id) => [versionName(id), proofName(id)]);
  it.each([...known, 'node', ...formerCheckNames] as const)('the check %s is understood', async (name) => {
    const asked = ada.call('POST', `/api/vm/${vmId}/check`, CheckResult, { body: { name }, timeoutMs: 60_000 });
    // The proofs of CLIs that have no login here tell so; the names are what this is about.
    expect(await asked).toMatchObject({ name, exitCode: expect.any(Number) as number });
  });

  it('a prompt is answered', async () => {
    const events: PromptEvent[] = [];
    const body = { provider: 'codex', prompt: 'Say hello' };
    for await (const { data } of await ada.events('POST', '/api/vm/me/cli/prompt', { body, timeoutMs: 60_000 })) {
      if (data !== '[DONE]') events.push(PromptEvent.parse(JSON.parse(data)));
    }
    expect(events.filter((event) => !('status' in event))).toEqual([{ chunk: 'Hello\n' }, { exitCode: 0 }]);
  });

  it('a new configuration comes into force', async () => {
    const { generation } = await agent.call('GET', '/guest/health', GuestHealth);
    const config = { ...guestConfig(vmId), timezone: 'Asia/Tokyo' };
    const { offset, bytes } = encodeSlot({ generation: generation + 1, config });
    const drive = Buffer.alloc(driveSize);
    bytes.copy(drive, offset);
    await writeFile(join(disk(), 'drive'), drive);
    const health = await agent.call('POST', '/guest/config/reload', GuestHealth);
    expect(health).toMatchObject({ generation: generation + 1, ready: true, error: null });
  });

  it('every other VM ends where its state led', async () => {
    const states = async (): Promise<(string | undefined)[]> => {
      const { vms } = await admin.call('GET', '/api/vm', VmList);
      return vms.filter(({ id }) => id !== vmId).map(({ state }) => state);
    };
    const restless: Vm['state'][] = ['creating', 'starting', 'stopping', 'destroying'];
    await until('all VMs to rest', async () => (await states()).every((state) => !restless.includes(state as never)), {
      timeoutMs: 60_000,
    });
    expect(await controller.stop()).toBe(0);
    const store = await openStore(testSettings(home), silentLog);
    const rows = await allRows({ query: (text) => store.db.execute(text) });
    await store.close();
    const ends = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gem', 'hap'].map((name) => rowOf(name, rows)?.['state']);
    expect(ends).toEqual(['running', 'stopped', 'failed', 'stopped', 'stopped', 'destroyed', 'failed', 'destroyed']);
  });
});
