/** What an engine is told of one start: the plan (no secrets, no paths) and the secrets (never on disk). */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { bootLimits, type HostChoice } from '@airlock/contract/capacity';
import { readExtraCa } from '@airlock/contract/extra-ca';
import { trialHosts } from '@airlock/contract/provider/registry';
import type { RunnerSecrets, VmSettings } from '@airlock/contract/runner';
import { upstreamUrlFor, type Settings } from '@airlock/contract/settings';
import type { VmPlan } from '../engine/engine.js';
import type { VmContext } from './context.js';
import type { VmRow } from './vm.js';

const passwordAlphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';

/** The next start of `row` under a driver, for an engine. */
export function vmPlan(
  row: VmRow,
  driver: string,
  { settings, host }: { settings: Settings; host: HostChoice },
): VmPlan {
  return {
    vmId: row.id,
    kind: row.kind,
    epoch: row.epoch,
    imageId: row.imageId,
    vmUser: row.vmUser,
    driver,
    accel: row.accel,
    cpus: settings.AIRLOCK_VM_CPUS,
    memoryMib: settings.AIRLOCK_VM_MEMORY_MIB,
    ...bootLimits(host, settings.AIRLOCK_BOOT_TIMEOUT_S),
    ...hostsOf(settings),
    root: row.kind === 'cli' ? row.rootNumber : null,
    waits: row.userId === null,
    // Nobody waits for a VM that stood still and only proves its new root.
    low: row.rootUpdate?.state === 'proving' && !row.rootUpdate.run,
  };
}

/**
 * The settings that a VM runs with, of the user who has `proxyPort`; null: nobody.
 * @throws AppError config_invalid when the AIRLOCK_EXTRA_CA file is not one of certificates
 */
export async function vmSettings(settings: Settings, proxyPort: number | null): Promise<VmSettings> {
  const url = proxyPort === null ? null : upstreamUrlFor(settings, proxyPort);
  const { AIRLOCK_EXTRA_CA: extraCa } = settings;
  return {
    timezone: settings.AIRLOCK_TIMEZONE,
    extraCaPem: extraCa === undefined ? null : (await readExtraCa(extraCa)).pem,
    upstream: url === null ? null : { url, trialHosts: trialHosts() },
    ...hostsOf(settings),
  };
}

/** Without exceptions there is no word of them: a runner of an earlier version knows none. */
function hostsOf(settings: Settings): Pick<VmSettings, 'directHosts' | 'allowedPrivateHosts'> {
  const { AIRLOCK_DIRECT_HOSTS: directHosts, AIRLOCK_ALLOWED_PRIVATE_HOSTS: allowedPrivateHosts } = settings;
  return allowedPrivateHosts.length === 0 ? { directHosts } : { directHosts, allowedPrivateHosts };
}

/** Fresh secrets for one start of `row`. @throws AppError as `vmSettings` */
export async function runnerSecrets(
  row: VmRow,
  homeKey: string | null,
  proxyPort: number | null,
  settings: Settings,
): Promise<RunnerSecrets> {
  const { timezone, extraCaPem, upstream } = await vmSettings(settings, proxyPort);
  return {
    guestConfig: {
      version: 1,
      vmId: row.id,
      kind: row.kind,
      sessionId: row.sessionId,
      hostname: row.id.replaceAll('_', '-'),
      timezone,
      epochMs: Date.now(),
      entropy: randomBytes(64).toString('base64'),
      agentToken: randomBytes(32).toString('base64url'),
      vncPassword: row.kind === 'browser' ? vncPassword() : null,
      homeKey,
      extraCaPem,
    },
    upstream,
  };
}

function vncPassword(): string {
  return Array.from({ length: 8 }, () => passwordAlphabet[randomInt(passwordAlphabet.length)]).join('');
}

/** Of what a VM keeps for as long as it runs: its programs began with it. */
export async function bornWith(
  { settings, host }: Pick<VmContext, 'settings' | 'host'>,
  vm: { imageId: string; driver: string },
): Promise<string> {
  const { timezone, extraCaPem } = await vmSettings(settings, null);
  const size = [settings.AIRLOCK_VM_CPUS, settings.AIRLOCK_VM_MEMORY_MIB];
  const all = [vm.imageId, vm.driver, host.accel, host.network, ...size, timezone, extraCaPem];
  return createHash('sha256').update(JSON.stringify(all)).digest('hex');
}
