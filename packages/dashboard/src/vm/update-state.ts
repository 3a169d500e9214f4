/** How the replacement of a CLI VM's root, its system in the words of the pages, is told. Pure. */
import type { Vm } from '@airlock/contract/api';
import { describeChanges, isBehind, underWay, type UnderWay } from '@airlock/contract/vm-update';

const words = {
  waiting: {
    label: 'waits for its turn',
    note: 'VMs are updated one after the other. This one can be used meanwhile.',
  },
  copying: {
    label: 'being prepared',
    note: 'The new system is made beside the old one. The VM can be used meanwhile.',
  },
  copied: {
    label: 'waits until nobody uses the VM',
    note: 'The new system is ready to be put in.',
  },
  proving: {
    label: 'being put in',
    note: 'The VM starts from the new system, and its logins are tried. If one fails, the old system comes back.',
  },
} as const satisfies Record<UnderWay, { label: string; note: string }>;

const names = { update: 'Update', reset: 'Reset' } as const satisfies Record<NonNullable<Vm['update']>['kind'], string>;

/** What is under way in words, `note` being one more sentence; null when nothing is. */
export function describeUnderWay(vm: Vm): { label: string; note: string } | null {
  const state = underWay(vm);
  if (state === null || vm.update === null) return null;
  return { label: `${names[vm.update.kind]}: ${words[state].label}`, note: words[state].note };
}

/** That the last one failed, and what is in use; null when it did not, or another one is under way. */
export function describeFailure({ update }: Vm): string | null {
  return update?.state === 'failed' ? `The ${update.kind} failed. The old system is in use as before.` : null;
}

/** What an update would change; null when it would change nothing, or is under way. */
export function describeAvailable(vm: Vm): string | null {
  if (!isBehind(vm)) return null;
  const changes = describeChanges(vm.behind?.changes ?? []);
  return changes === '' ? 'Update available' : `Update available: ${changes}`;
}
