/** What the states of a VM look like, and what may be done in each. Pure. */
import type { Vm } from '@airlock/contract/api';
import { underWay } from '@airlock/contract/vm-update';
import { describeEnd } from './vm-end.js';

export const tones = {
  creating: 'busy',
  starting: 'busy',
  waiting: 'quiet',
  running: 'good',
  stopping: 'busy',
  stopped: 'quiet',
  destroying: 'busy',
  failed: 'bad',
  destroyed: 'quiet',
} as const satisfies Record<Vm['state'], string>;

/** What a person may do by hand; nothing with a browser VM, and no reset while there is a new root under way. */
export function powerOf(
  vm: Pick<Vm, 'kind' | 'state' | 'update'>,
): readonly ('stop' | 'start' | 'restart' | 'reset')[] {
  if (vm.kind !== 'cli') return [];
  if (vm.state === 'starting') return ['stop'];
  const reset = underWay(vm) === null ? (['reset'] as const) : [];
  if (vm.state === 'running') return ['stop', 'restart', ...reset];
  return vm.state === 'stopped' ? ['start', ...reset] : [];
}

const labels = {
  creating: 'Being made',
  starting: 'Starting',
  waiting: 'Waiting',
  running: 'Running',
  stopping: 'Stopping',
  stopped: 'Stopped',
  destroying: 'Being removed',
  failed: 'Failed',
  destroyed: 'Removed',
} as const satisfies Record<Vm['state'], string>;

/** A person's own CLI VM in words; `note` is one more sentence. `nowMs` decides between a time of day and a date. */
export function describeOwn(vm: Vm, nowMs: number): { label: string; note: string } {
  return { label: labels[vm.state], note: noteOf(vm, nowMs) };
}

function noteOf(vm: Vm, nowMs: number): string {
  switch (vm.state) {
    case 'creating':
      return 'Its disk is copied; then it starts.';
    case 'starting':
      return 'This may take a minute.';
    case 'running':
      return vm.uses > 0 ? 'In use.' : `It ${describeEnd(vm, nowMs)}.`;
    case 'stopped':
      return 'What uses it next, such as a prompt, starts it.';
    default:
      return '';
  }
}
