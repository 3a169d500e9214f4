/** Calls to the agents in VMs: patient with an agent that is being restarted, at once with a VM that is gone. */
import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import type { Answer, CallOptions } from '@airlock/contract/http-client';
import type { Vms, VmRow } from './vm.js';

/** Between two tries, in ms. */
const retryMs = 500;
/** An agent that was killed is back within this time (ms, also under emulation), or does not come back. */
const restartMs = 90_000;

interface GuestDeps {
  vms: Pick<Vms, 'guest' | 'get'>;
  signal: AbortSignal;
}

/** One call to the agent, as `whileUnanswered` makes it. */
export async function callGuest<T extends z.ZodType | null>(
  deps: GuestDeps,
  vmId: string,
  call: { method: string; path: string; schema: T } & Omit<CallOptions, 'signal'>,
): Promise<Answer<T>> {
  const { method, path, schema, ...options } = call;
  return whileUnanswered(deps, vmId, async () => {
    const guest = await deps.vms.guest(vmId);
    return guest.call(method, path, schema, { ...options, signal: deps.signal });
  });
}

/**
 * Does `work`, again as long as the agent of the VM does not answer although the VM runs. Only for what may be repeated.
 * @throws AppError what `work` threw, what the VM ended with, guest_unreachable, or the signal's reason
 */
export async function whileUnanswered<T>({ vms, signal }: GuestDeps, vmId: string, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + restartMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      requireRunning(await vms.get(vmId), vmId);
      const unanswered =
        error instanceof AppError && (error.code === 'guest_unreachable' || error.code === 'runner_failed');
      if (!unanswered || performance.now() > deadline) throw error;
      await delay(retryMs, undefined, { signal });
    }
  }
}

/** What somebody's stop makes of a VM that was running; a restart goes on to the last one. */
const stopped: readonly VmRow['state'][] = ['stopping', 'stopped', 'starting'];

/** @throws AppError what the VM ended with, vm_not_running when somebody has stopped it, or vm_lost */
export function requireRunning(vm: VmRow | undefined, vmId: string): VmRow {
  if (vm?.state === 'running') return vm;
  if (vm?.error) throw AppError.fromBody(vm.error);
  if (vm && stopped.includes(vm.state)) throw new AppError('vm_not_running', `VM ${vmId} was stopped.`);
  throw new AppError('vm_lost', `VM ${vmId} has ended.`);
}
