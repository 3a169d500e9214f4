/**
 * One live holder: a CLI refreshes its login again and again at a provider that refuses a token used twice, while the real controller
 * and the real agent are killed at seeded points. At each quiet moment the vault holds the one token that is still good.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import {
  BackupResponse,
  CredentialList,
  RemoveCredentialResponse,
  type CredentialSummary,
} from '@airlock/contract/api';
import type { CredentialBundle } from '@airlock/contract/guest';
import type { JsonClient } from '@airlock/contract/http-client';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import { proveKey } from '@airlock/contract/key-proof';
import { readSettings } from '@airlock/contract/settings';
import { openStore } from '@airlock/controller/store/open';
import { users } from '@airlock/controller/user/table';
import { vms } from '@airlock/controller/vm/table';
import { BackedUp, openBackup } from '@airlock/controller/vault/backup-file';
import { createVault } from '@airlock/controller/vault/create';
import { loadVaultKeys } from '@airlock/controller/vault/key';
import { createKeyRing } from '@airlock/controller/vault/ring';
import { apiClient } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createCliVm, type CliVm } from '../support/custody/cli-vm.js';
import { startRotatingProvider, type RotatingProvider } from '../support/custody/rotating-provider.js';
import { takeSnapshot, untilNoLeaks, type Snapshot } from '../support/leaks.js';
import { until } from '../support/poll.js';

const rounds = Number(process.env['TEST_CYCLES'] ?? 15);
const seed = Number(process.env['TEST_SEED'] ?? 4);
const passphrase = randomBytes(12).toString('hex');
const refreshProgram = fileURLToPath(new URL('../support/custody/refresh.mjs', import.meta.url));
const settings = { AIRLOCK_CREDENTIAL_POLL_S: '1' };
const log = pino({ level: 'silent' });

let folder: string;
let home: string;
let before: Snapshot;
let provider: RotatingProvider;
let vm: CliVm;
let controller: RunningController | undefined;
let api: JsonClient | undefined;

/** Mulberry32: the same numbers below 1 for the same seed. */
function seeded(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function startIt(): Promise<void> {
  controller = await startController({ home, env: settings });
  api = apiClient(controller.url, controller.token);
}

async function killIt(): Promise<void> {
  await api?.close();
  await controller?.kill9();
  controller = undefined;
}

const call = (): JsonClient => {
  if (api && controller) return api;
  throw new Error('no controller');
};
const refresh = () =>
  promisify(execFile)(process.execPath, [refreshProgram], { env: { HOME: vm.home, TOKEN_URL: provider.tokenUrl } });

async function credential(): Promise<CredentialSummary | undefined> {
  return (await call().call('GET', '/api/credentials', CredentialList)).credentials[0];
}

const tokenIn = (text: string): string =>
  (JSON.parse(text) as { tokens: { refresh_token: string } }).tokens.refresh_token;

async function backUp(): Promise<z.infer<typeof BackupResponse>> {
  const keyProof = await proveKey(call(), homePaths(home).vaultKey, 'POST /api/vault/backup');
  return call().call('POST', '/api/vault/backup', BackupResponse, { body: { passphrase, keyProof } });
}

/** The refresh token in the vault, as a backup shows it to who has the passphrase. */
async function inVault(): Promise<string> {
  const { backup } = await backUp();
  const [stored] = (await openBackup(passphrase, backup)).credentials;
  const { bundle } = BackedUp.parse(stored);
  return tokenIn(Buffer.from(bundle.files[0]?.contentBase64 ?? '', 'base64').toString());
}

/** A database with the admin, a CLI VM that runs, and a Codex login that nobody has delivered yet. */
async function prepare(vmId: string, refreshToken: string): Promise<void> {
  await startIt();
  await api?.close();
  await controller?.stop();
  controller = undefined;
  const store = await openStore(readSettings({ AIRLOCK_HOME: home }), log);
  const [admin] = await store.db.select().from(users);
  const userId = admin?.id ?? '';
  const timings = { vncMs: null, agentMs: null, readyMs: null };
  await store.db.insert(vms).values({
    id: vmId,
    userId,
    kind: 'cli',
    state: 'running',
    imageId: 'img_000000',
    accel: 'tcg',
    epoch: 1,
    timings,
  });
  const vault = createVault({
    store,
    ring: createKeyRing(await loadVaultKeys(home), async () => undefined),
    users: { list: async () => [] },
    log,
  });
  const tokens = { id_token: 'id', access_token: 'at_0', refresh_token: refreshToken };
  const contentBase64 = Buffer.from(JSON.stringify({ tokens })).toString('base64');
  const bundle: CredentialBundle = {
    provider: 'codex',
    files: [{ path: '.codex/auth.json', mode: 0o600, contentBase64 }],
  };
  const { lineage } = await vault.stage({ userId, provider: 'codex', sessionId: newId('ses') }, bundle);
  await vault.commit(userId, 'codex', lineage);
  await store.close();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-c-'));
  home = join(folder, 'h');
  before = await takeSnapshot({ home: folder, names: new RegExp(basename(folder)) });
  provider = await startRotatingProvider();
  const vmId = newId('vm');
  await prepare(vmId, provider.live() ?? '');
  vm = await createCliVm(home, vmId, join(folder, 'disk'));
  await vm.start();
  await startIt();
}, 240_000);

afterAll(async () => {
  await killIt();
  await vm?.kill();
  await provider?.close();
  await untilNoLeaks(before, 20_000).finally(() => rm(folder, { recursive: true, force: true }));
}, 60_000);

/** What happens around one refresh. `at`: milliseconds between the refresh and the blow. */
const blows: Record<string, (at: number) => Promise<void>> = {
  none: async () => void (await refresh()),
  'controller killed after the refresh': async (at) => {
    await refresh();
    await pause(at);
    await killIt();
    await startIt();
  },
  'controller killed before the refresh': async () => {
    await killIt();
    await refresh();
    await startIt();
  },
  'agent killed after the refresh': async (at) => {
    await refresh();
    await pause(at);
    await vm.killAgent();
  },
  'agent killed during the refresh': async () => {
    await Promise.all([refresh(), vm.killAgent()]);
  },
  'both killed after the refresh': async (at) => {
    await refresh();
    await pause(at);
    await vm.killAgent();
    await killIt();
    await startIt();
  },
  'VM killed right after the refresh, with the controller': async () => {
    await refresh();
    await killIt();
    await vm.kill();
    await vm.start();
    await startIt();
  },
  'asked for at once': async () => {
    await refresh();
    // A backup looks into running CLI VMs first.
    expect(await inVault()).toBe(provider.live());
  },
};

describe(`custody through ${rounds} refreshes (seed ${seed})`, () => {
  it('delivers what the vault holds to a CLI VM that has nothing yet', async () => {
    await until('the delivery', async () => (await credential())?.holderVmId, { timeoutMs: 60_000 });
    expect(tokenIn(await readFile(join(vm.home, '.codex/auth.json'), 'utf8'))).toBe(provider.live());
  }, 90_000);

  it(
    'holds the live token at each quiet moment, whatever was killed',
    async () => {
      const random = seeded(seed);
      const names = Object.keys(blows);
      const tally: Record<string, number> = {};
      let last = (await credential())?.generation ?? 0;
      for (let round = 1; round <= rounds; round++) {
        // Each kind of blow at least once, then as the seed says.
        const name = names[round <= names.length ? round - 1 : Math.floor(random() * names.length)] ?? 'none';
        tally[name] = (tally[name] ?? 0) + 1;
        await blows[name]?.(Math.floor(random() ** 2 * 1500));
        const what = `round ${round}: ${name}`;
        const generation = await until(
          `a newer generation after ${what}`,
          async () => {
            const now = (await credential())?.generation ?? 0;
            return now > last && now;
          },
          { timeoutMs: 60_000, explain: () => controller?.log().slice(-3000) ?? '' },
        );
        expect(await inVault(), what).toBe(provider.live());
        expect(tokenIn(await readFile(join(vm.home, '.codex/auth.json'), 'utf8')), what).toBe(provider.live());
        last = generation;
      }
      console.log(`custody: ${JSON.stringify(tally)}`);
      expect([provider.refreshes(), provider.reused()]).toEqual([rounds, 0]);
    },
    rounds * 30_000,
  );

  it('removes a credential from the vault and from the VM, and a late refresh does not bring it back', async () => {
    const { refresh_token } = (
      JSON.parse(await readFile(join(vm.home, '.codex/auth.json'), 'utf8')) as {
        tokens: { refresh_token: string };
      }
    ).tokens;
    expect(await call().call('DELETE', '/api/credentials/codex', RemoveCredentialResponse)).toEqual({
      cliVm: 'removed',
    });
    await expect(readFile(join(vm.home, '.codex/auth.json'))).rejects.toMatchObject({ code: 'ENOENT' });
    const late = { tokens: { id_token: 'id', access_token: 'late', refresh_token } };
    await writeFile(join(vm.home, '.codex/auth.json'), JSON.stringify(late));
    await backUp();
    expect(await credential()).toBeUndefined();
    // Nobody was logged out: the token is still good at the provider.
    expect(provider.live()).toBe(refresh_token);
  }, 60_000);
});
