/** Follows CLI VMs whose roots are replaced. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Vm } from '@airlock/contract/api';
import { isOver } from './update-words.js';

const pollMs = 1000;

/**
 * Resolves with the VMs as they are when nothing is under way for any of them any more. `read` answers with those that there still
 * are; `tell` gets each VM at first and when it has come further, with all as they are then.
 */
export async function followUpdates(
  asked: readonly Vm[],
  read: () => Promise<readonly Vm[]>,
  tell: (vm: Vm, all: readonly Vm[]) => void,
): Promise<readonly Vm[]> {
  const said = new Map<string, string>();
  let vms = asked;
  for (;;) {
    for (const vm of vms) {
      const step = isOver(vm) ? 'over' : (vm.update?.state ?? '');
      if (said.get(vm.id) !== step) tell(vm, vms);
      said.set(vm.id, step);
    }
    if (vms.every(isOver)) return vms;
    await pause(pollMs);
    const found = new Map((await read()).map((vm) => [vm.id, vm]));
    vms = vms.map((vm) => found.get(vm.id) ?? { ...vm, state: 'destroyed' });
  }
}
