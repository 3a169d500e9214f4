/** What the `update` and `behind` of a VM come to, for whoever shows them. Pure. */
import type { VersionChange, Vm, VmUpdateState } from './api.js';

export type UnderWay = Exclude<VmUpdateState, 'failed'>;

/** How far the replacement of the VM's root is; null when none is under way. */
export function underWay({ update }: Pick<Vm, 'update'>): UnderWay | null {
  return update === null || update.state === 'failed' ? null : update.state;
}

/** Whether an update would change something and has not been asked for. */
export function isBehind(vm: Pick<Vm, 'update' | 'behind'>): boolean {
  return vm.behind !== null && underWay(vm) === null;
}

/** Changes that are named. */
const most = 8;

/** `Codex 0.171.0 → 0.172.0, jq 1.7 (new), …`, the first of them; empty when there is none. */
export function describeChanges(changes: readonly VersionChange[]): string {
  const more = changes.length - most;
  return [...changes.slice(0, most).map(describeChange), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

function describeChange({ name, from, to }: VersionChange): string {
  if (to === null) return `${name} (no longer)`;
  return from === null ? `${name} ${to} (new)` : `${name} ${from} → ${to}`;
}
