/** What this host can do, as measured by `airlock-runner probe`, and which accelerator follows from it. */
import { fileURLToPath } from 'node:url';
import { chooseHost, type HostChoice } from '@airlock/contract/capacity';
import { homePaths } from '@airlock/contract/home';
import { run } from '@airlock/contract/process';
import { HostProbe } from '@airlock/contract/runner';
import type { Settings } from '@airlock/contract/settings';

export type Host = HostChoice;

/**
 * Probes the host (cached by boot) and chooses the accelerator.
 * @throws AppError vmm_missing, host_unsupported when AIRLOCK_ACCEL=kvm and KVM does not work
 */
export async function probeHost(settings: Settings): Promise<Host> {
  const runnerMain = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
  const cache = homePaths(settings.AIRLOCK_HOME).hostProbe;
  const { stdout } = await run(process.execPath, [runnerMain, 'probe', '--cache', cache], { timeoutMs: 30_000 });
  return chooseHost(HostProbe.parse(JSON.parse(stdout)), settings.AIRLOCK_ACCEL);
}
