/** Waiting for a VM to be ready. */
import type { VmState } from '@airlock/contract/api';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { RunnerStatus } from '@airlock/contract/runner';
import type { VmContext } from './context.js';
import * as rows from './rows.js';
import type { VmRow } from './vm.js';

const endStates: VmState[] = ['stopping', 'stopped', 'destroying', 'failed', 'destroyed'];

/**
 * The VM once it is ready.
 * @throws AppError what the VM failed with, an upstream failure that the runner reports, or the signal's reason
 */
export async function waitReady(
  ctx: VmContext,
  vmId: string,
  signal: AbortSignal,
  onStatus: (status: RunnerStatus) => void,
): Promise<VmRow> {
  const either = AbortSignal.any([signal, ctx.signal]);
  for (;;) {
    const change = nextChange(ctx, vmId);
    try {
      const row = await rows.get(ctx, vmId);
      const last = ctx.followed.get(vmId)?.last;
      if (!row) throw new AppError('not_found', `There is no VM ${vmId}.`);
      if (endStates.includes(row.state)) throw endOf(row);
      if (last?.egress.lastError) throw AppError.fromBody(last.egress.lastError);
      if (row.state === 'running') return row;
      if (last) onStatus(last);
      await raceAbort(change.come, either);
    } finally {
      change.stop();
    }
  }
}

/** Resolves with the next change of the VM's state, or the next report of its runner. */
function nextChange(ctx: VmContext, vmId: string): { come: Promise<void>; stop(): void } {
  let onChange = (): void => undefined;
  const come = new Promise<void>((resolve) => (onChange = resolve));
  ctx.changes.on(vmId, onChange);
  ctx.heard.on(vmId, onChange);
  return {
    come,
    stop() {
      ctx.changes.off(vmId, onChange);
      ctx.heard.off(vmId, onChange);
    },
  };
}

/** Why a VM that is not to be waited for has ended, or is about to. */
export function endOf({ id, state, error }: VmRow): AppError {
  if (error) return AppError.fromBody(error);
  if (state === 'stopping')
    return new AppError('vm_not_running', `VM ${id} was stopped.`, { hint: 'Its next use starts it again.' });
  if (state === 'destroying' || state === 'destroyed') return new AppError('vm_not_running', `VM ${id} was destroyed.`);
  return new AppError('vm_lost', `VM ${id} has ended.`);
}
