/** What this host can do, as measured by `airlock-runner probe`, and which accelerator and driver follow from it. */
import { chooseHost, type HostChoice } from '@airlock/contract/capacity';
import { homePaths } from '@airlock/contract/home';
import { runProbe } from '@airlock/contract/run-probe';
import type { Settings } from '@airlock/contract/settings';
import { runnerMain } from './runner.js';

/**
 * Probes the host (cached by boot) and chooses accelerator and driver.
 * @throws AppError vmm_missing, host_unsupported when AIRLOCK_ACCEL=kvm and KVM does not work
 */
export async function probeHost(settings: Settings): Promise<HostChoice> {
  const cache = homePaths(settings.AIRLOCK_HOME).hostProbe;
  return chooseHost(await runProbe({ program: runnerMain, cache, timeoutMs: 30_000 }), settings.AIRLOCK_ACCEL);
}
