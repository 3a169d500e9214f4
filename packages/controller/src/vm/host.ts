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
  /** The VMM driver that VMs are started with. */
  driver: string;
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
  const { tscKhz, kvm } = probe;
  const accel = wanted === 'auto' ? (kvm.usable ? 'kvm' : 'tcg') : wanted;
  if (accel === 'kvm' && !kvm.usable) {
    throw new AppError('host_unsupported', `AIRLOCK_ACCEL=kvm, but KVM does not work here: ${kvm.reason}`, {
      hint: 'Set AIRLOCK_ACCEL=auto to use software emulation.',
    });
  }
  const driver = probe.drivers.find(({ ok, emulation }) => ok && (emulation || accel === 'kvm'))?.name;
  if (driver === undefined) {
    throw new AppError('vmm_missing', `No VMM can be used: ${probe.drivers.map(({ reason }) => reason).join(' ')}`, {
      hint: '`npx airlock doctor` says what to install.',
    });
  }
  return { accel, accelReason: accelReason(accel, wanted, kvm.reason), driver, tscKhz };
}

function accelReason(accel: Host['accel'], wanted: Settings['AIRLOCK_ACCEL'], reason: string): string {
  if (accel === 'kvm') return reason;
  if (wanted === 'tcg') return 'AIRLOCK_ACCEL=tcg asks for software emulation.';
  return `Software emulation, because KVM does not work here: ${reason}`;
}
