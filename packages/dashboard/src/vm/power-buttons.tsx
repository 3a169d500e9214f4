/** Stops, starts and resets a CLI VM; asks first when something ends or is lost by it. What it is doing is told by the VM's state beside it. */
import type { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useState } from 'react';
import { Dialog } from '../ui/dialog.js';
import { Problem } from '../ui/problem.js';
import styles from './power.module.css';
import { RootDialog } from './root-dialog.js';
import { useVmPower, useVmRoot, type PowerVerb } from './use-vms.js';
import { powerOf } from './vm-state.js';

type Verb = PowerVerb | 'reset';

const words = {
  stop: 'Stop',
  start: 'Start',
  restart: 'Restart',
  reset: 'Reset',
} as const satisfies Record<Verb, string>;

/** `name` completes the verb, such as `your CLI VM`. Nothing for a VM that cannot be stopped or started. */
export function PowerButtons({ vm, name }: { vm: Vm; name: string }) {
  const { verbs, asking, isPending, error, press, answer } = useButtons(vm);
  return (
    <>
      {verbs.length > 0 && (
        <div className={styles.buttons}>
          {verbs.map((verb) => (
            <Button
              key={verb}
              size="xs"
              variant="default"
              loading={isPending}
              onClick={() => press(verb)}
              aria-label={`${words[verb]} ${name}`}
              data-testid={`${verb}-${vm.id}`}
            >
              {words[verb]}
            </Button>
          ))}
        </div>
      )}
      {/* What the VM itself tells is shown beside its state. */}
      {error !== null && error.message !== vm.error?.message && (
        <div className={styles.problem}>
          <Problem error={error} announce />
        </div>
      )}
      <AskDialog
        verb={asking === 'reset' ? null : asking}
        name={name}
        uses={vm.uses}
        onClose={(confirmed) => answer(confirmed ? { now: true } : null)}
      />
      <RootDialog kind="reset" opened={asking === 'reset'} name={name} uses={vm.uses} onClose={answer} />
    </>
  );
}

/** What is offered, what is asked, and what became of the last answer. */
function useButtons(vm: Vm) {
  const power = useVmPower(vm.id);
  const root = useVmRoot(vm.id);
  const [asking, setAsking] = useState<Verb | null>(null);
  const failure = power.error ?? root.error;
  const go = (verb: Verb, now: boolean) => {
    power.reset();
    root.reset();
    if (verb === 'reset') root.mutate({ kind: 'reset', now });
    else power.mutate(verb);
  };
  return {
    // The one that was pressed stays until it is answered, whatever the VM goes through.
    verbs: power.isPending ? [power.variables] : root.isPending ? (['reset'] as const) : powerOf(vm),
    asking,
    isPending: power.isPending || root.isPending,
    error: failure === null ? null : AppError.from(failure).toBody(),
    press: (verb: Verb) => {
      if (verb === 'reset' || (verb !== 'start' && vm.uses > 0)) setAsking(verb);
      else go(verb, false);
    },
    answer: (given: { now: boolean } | null) => {
      setAsking(null);
      if (asking !== null && given !== null) go(asking, given.now);
    },
  };
}

interface AskDialogProps {
  /** Null: it is closed. */
  verb: PowerVerb | null;
  name: string;
  uses: number;
  onClose: (confirmed: boolean) => void;
}

function AskDialog({ verb, name, uses, onClose }: AskDialogProps) {
  const word = words[verb ?? 'stop'];
  return (
    <Dialog opened={verb !== null} onClose={() => onClose(false)} title={`${word} ${name}?`}>
      <p className={styles.text}>
        {uses === 1 ? 'A prompt or a check runs in it and ends' : `${uses} prompts or checks run in it and end`} without
        an answer. Files stay.
      </p>
      <div className={styles.actions}>
        <Button variant="default" onClick={() => onClose(false)} data-autofocus>
          Let it run
        </Button>
        <Button color="red" onClick={() => onClose(true)} data-testid="power-confirm">
          {word}
        </Button>
      </div>
    </Dialog>
  );
}
