/** What this host can do, as measured by `airlock-runner probe`, and which accelerator and driver follow from it. */
import { chooseHost, type HostBeside, type HostChoice } from '@airlock/contract/capacity';
import { readGates } from '@airlock/contract/driver-gate';
import { homePaths } from '@airlock/contract/home';
import { runProbe } from '@airlock/contract/run-probe';
import type { Settings } from '@airlock/contract/settings';
import { runnerMain } from './runner.js';

/**
 * Probes the host (cached by boot) and chooses accelerator and drivers.
 * @throws AppError as `chooseHost`
 */
export async function probeHost(settings: Settings, network: HostBeside['network']): Promise<HostChoice> {
  const { AIRLOCK_HOME: home, AIRLOCK_ACCEL: accel, AIRLOCK_VMM: vmm } = settings;
  const probe = await runProbe({ program: runnerMain, cache: homePaths(home).hostProbe, timeoutMs: 30_000 });
  return chooseHost(probe, { accel, vmm, network, gates: await readGates(home, probe) });
}
