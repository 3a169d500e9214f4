/** The VM under test, as the API shows it. */
import { setTimeout as delay } from 'node:timers/promises';
import { DesktopTicket, Vm } from '@airlock/contract/api';
import { longestBootMs } from '@airlock/contract/capacity';
import { AppError } from '@airlock/contract/errors';
import { CheckResult, GuestHealth, type CheckName } from '@airlock/contract/guest';
import type { Api } from '../lib/api.js';

export interface TestVm {
  id: string;
  show(): Promise<Vm>;
  health(): Promise<GuestHealth>;
  /** Some CLIs take more than a minute to start under software emulation. */
  check(name: CheckName): Promise<CheckResult>;
  desktopPath(): Promise<string>;
  destroy(): Promise<void>;
}

export async function createTestVm(api: Api, leaseMinutes: number, signal: AbortSignal): Promise<TestVm> {
  const { id } = await api.call('POST', '/api/vm', Vm, { body: { kind: 'browser', leaseMinutes }, signal });
  const path = `/api/vm/${id}`;
  return {
    id,
    show: () => api.call('GET', path, Vm, { signal }),
    health: () => api.call('GET', `${path}/health`, GuestHealth, { signal }),
    check: (name) => api.call('POST', `${path}/check`, CheckResult, { body: { name }, signal, timeoutMs: 5 * 60_000 }),
    desktopPath: async () => (await api.call('POST', `${path}/desktop-ticket`, DesktopTicket, { signal })).path,
    // Without the signal: also after Ctrl-C the VM has to go.
    destroy: () => api.call('DELETE', path, null, { timeoutMs: 120_000 }),
  };
}

/** Waits until the VM runs. The controller has the deadline; this one is only there in case it never answers. */
export async function untilRunning(test: TestVm, signal: AbortSignal): Promise<Vm> {
  const deadline = Date.now() + longestBootMs + 60_000;
  for (;;) {
    const vm = await test.show();
    if (vm.state === 'running') return vm;
    if (vm.error) throw AppError.fromBody(vm.error);
    if (['failed', 'destroying', 'destroyed', 'stopped'].includes(vm.state))
      throw new AppError('vm_lost', `${vm.id} is ${vm.state}.`);
    if (Date.now() > deadline)
      throw new AppError('vm_boot_timeout', `${vm.id} is still ${vm.state}, later than any VM boots.`);
    await delay(500, undefined, { signal });
  }
}
