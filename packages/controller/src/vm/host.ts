/** What this host can do, as measured by `airlock-runner probe`, and which accelerator follows from it. */
import { fileURLToPath } from 'node:url';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { run } from '@airlock/contract/process';
import { HostProbe } from '@airlock/contract/runner';
import type { Settings } from '@airlock/contract/settings';

export interface Host {
  accel: 'kvm' | 'tcg';
  /** One sentence: why this accelerator. */
  accelReason: string;
  tscKhz: HostProbe['tscKhz'];
}

/**
 * Probes the host (cached by boot) and chooses the accelerator.
 * @throws AppError vmm_missing, host_unsupported when AIRLOCK_ACCEL=kvm and KVM does not work
 */
export async function probeHost(settings: Settings): Promise<Host> {
  const runnerMain = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
  const cache = homePaths(settings.AIRLOCK_HOME).hostProbe;
  const { stdout } = await run(process.execPath, [runnerMain, 'probe', '--cache', cache], { timeoutMs: 30_000 });
  return chooseAccel(HostProbe.parse(JSON.parse(stdout)), settings.AIRLOCK_ACCEL);
}

/** Pure part of `probeHost`. */
export function chooseAccel(probe: HostProbe, wanted: Settings['AIRLOCK_ACCEL']): Host {
  if (!probe.qemu.ok) {
    throw new AppError('vmm_missing', `QEMU cannot be used: ${probe.qemu.reason}`, {
      hint: '`npx airlock doctor` says what to install.',
    });
  }
  const { tscKhz } = probe;
  if (wanted === 'tcg') return { accel: 'tcg', accelReason: 'AIRLOCK_ACCEL=tcg asks for software emulation.', tscKhz };
  if (probe.kvm.usable) return { accel: 'kvm', accelReason: probe.kvm.reason, tscKhz };
  if (wanted === 'kvm') {
    throw new AppError('host_unsupported', `AIRLOCK_ACCEL=kvm, but KVM does not work here: ${probe.kvm.reason}`, {
      hint: 'Set AIRLOCK_ACCEL=auto to use software emulation.',
    });
  }
  const accelReason = `Software emulation, because KVM does not work here: ${probe.kvm.reason}`;
  return { accel: 'tcg', accelReason, tscKhz };
}
