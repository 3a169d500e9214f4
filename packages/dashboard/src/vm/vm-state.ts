/** What the states of a VM look like, and what may be done in each. Pure. */
import type { Vm } from '@airlock/contract/api';
import { describeEnd } from './vm-end.js';

export const tones = {
  creating: 'busy',
  starting: 'busy',
  running: 'good',
  stopping: 'busy',
  stopped: 'quiet',
  destroying: 'busy',
  failed: 'bad',
  destroyed: 'quiet',
} as const satisfies Record<Vm['state'], string>;

/** What a person may do by hand; nothing with a browser VM. */
export function powerOf({ kind, state }: Pick<Vm, 'kind' | 'state'>): readonly ('stop' | 'start' | 'restart')[] {
  if (kind !== 'cli') return [];
  if (state === 'running') return ['stop', 'restart'];
  if (state === 'starting') return ['stop'];
  return state === 'stopped' ? ['start'] : [];
}

const labels = {
  creating: 'Being made',
  starting: 'Starting',
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
