/** How the replacement of a CLI VM's root is told on a terminal. Pure. */
import type { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { describeChanges, underWay, type UnderWay } from '@airlock/contract/vm-update';

const words = {
  waiting: 'waits for its turn',
  copying: 'gets a new root, made beside the one in use',
  copied: 'has its new root ready',
  proving: 'starts from its new root, and its logins are tried',
} as const satisfies Record<UnderWay, string>;

/** `vm_… waits for its turn …`; empty when nothing is under way. `now`: it does not wait until nobody uses the VM. */
export function describeProgress(vm: Vm, now: boolean): string {
  const state = underWay(vm);
  if (state === null) return '';
  const awaits = ` and waits until nobody uses it; \`airlock vm ${vm.update?.kind} ${vm.id} --now\` does not wait`;
  return `${vm.id} ${words[state]}${state === 'copied' && !now ? awaits : ''} …`;
}

/** What somebody who asked for it is told first. */
export function describeStart({ id, update, behind }: Vm): string {
  if (update?.kind === 'reset') return `${id} gets a fresh root. Its home stays; everything outside of it is lost.`;
  const changes = describeChanges(behind?.changes ?? []);
  return `${id} gets ${behind?.imageId ?? 'the current image'}${changes === '' ? '' : `: ${changes}`}`;
}

/** One cell of a table: `behind`, `update copying`, `reset failed`, or `-`. */
export function updateCell({ update, behind }: Vm): string {
  if (update !== null) return `${update.kind} ${update.state}`;
  return behind === null ? '-' : 'behind';
}

/** Of one that has not got what was asked for. */
export function describeFailed({ id, state, update }: Vm): string {
  if (gone.includes(state)) return `${id} is ${state}`;
  return `${id} was not ${update?.kind === 'reset' ? 'reset' : 'updated'}: its old root is in use as before`;
}

const gone: readonly Vm['state'][] = ['failed', 'destroying', 'destroyed'];

/** Whether nothing is under way any more. */
export const isOver = (vm: Vm): boolean => underWay(vm) === null || gone.includes(vm.state);

/** Why a VM whose update is over has not got what was asked for; null when it has. */
export function failureOf({ id, state, update, error }: Vm): AppError | null {
  if (gone.includes(state)) {
    return error === null
      ? new AppError('vm_not_running', `${id} is ${state}: somebody has destroyed it meanwhile.`)
      : AppError.fromBody(error);
  }
  if (update === null) return null;
  if (update.error !== null) return AppError.fromBody(update.error);
  return new AppError('internal', `The ${update.kind} of ${id} ended as ${update.state}, and its VM does not say why.`);
}
