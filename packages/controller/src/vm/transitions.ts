/** The state machine of a VM: one table, (state, event) → next state. Final states have no way out. */
import type { VmState } from '@airlock/contract/api';

/** What can happen to a VM. `docs/vm-states.md` is printed from this and from the table. */
export const vmEvents = {
  power_on: 'a runner is being started for it',
  restored: 'its home has come from a backup; it stands still until its next use',
  waits: 'everything in it works, nobody has it yet, and it stands still',
  assign: 'it is given to a sign-in, and runs on',
  ready: 'its runner says that everything in it works',
  stop: 'it is to be powered off and kept: on demand, as idle, or because it could not be started',
  released: 'nothing of it runs any more; its disks are kept',
  ended: 'a VM that is kept has ended by itself, and nothing of it runs any more',
  restart_lost: 'a controller that came up found nothing of a VM that is kept running any more',
  start_again: 'a controller that came up found that nothing had run of it yet, and starts it anew',
  failed: 'it could not be made or started, or it has ended by itself; nothing of it is left but its logs',
  destroy:
    'it is to be removed: on demand, because its time has come, or because what is left of it could not be released',
  removed: 'nothing of it is left but its logs',
} as const;
export type VmEvent = keyof typeof vmEvents;

/** What a row says first: it is written before anything of the VM is made. */
export const firstState: VmState = 'creating';

/** What a state allows; an event that is absent is refused. Each event that is allowed changes the state. */
export const transitions: Readonly<Record<VmState, Partial<Record<VmEvent, VmState>>>> = {
  creating: { power_on: 'starting', restored: 'stopped', failed: 'failed', destroy: 'destroying' },
  starting: {
    waits: 'waiting',
    ready: 'running',
    stop: 'stopping',
    ended: 'stopped',
    restart_lost: 'stopped',
    start_again: 'creating',
    failed: 'failed',
    destroy: 'destroying',
  },
  waiting: { assign: 'starting', failed: 'failed', destroy: 'destroying' },
  running: {
    stop: 'stopping',
    ended: 'stopped',
    restart_lost: 'stopped',
    failed: 'failed',
    destroy: 'destroying',
  },
  stopping: { released: 'stopped', destroy: 'destroying' },
  stopped: { power_on: 'starting', destroy: 'destroying' },
  destroying: { removed: 'destroyed' },
  failed: {},
  destroyed: {},
};

/** Where `event` leads from each state that allows it. */
export function waysOf(event: VmEvent): [from: VmState, to: VmState][] {
  return (Object.keys(transitions) as VmState[]).flatMap((from) => {
    const to = transitions[from][event];
    return to === undefined ? [] : [[from, to]];
  });
}

const states = Object.keys(transitions) as VmState[];
/** States without a way out. */
export const finalStates: readonly VmState[] = states.filter((state) => Object.keys(transitions[state]).length === 0);
/** States in which something of the VM runs, or is being made or removed. */
export const activeStates: readonly VmState[] = states.filter(
  (state) => state !== 'stopped' && !finalStates.includes(state),
);

export const isFinal = (state: VmState): boolean => finalStates.includes(state);
