/** Stops and starts a CLI VM; asks first when that ends something. What it is doing is told by the VM's state beside it. */
import type { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useState } from 'react';
import { Dialog } from '../ui/dialog.js';
import { Problem } from '../ui/problem.js';
import styles from './power.module.css';
import { useVmPower, type PowerVerb } from './use-vms.js';
import { powerOf } from './vm-state.js';

const words = { stop: 'Stop', start: 'Start', restart: 'Restart' } as const satisfies Record<PowerVerb, string>;

/** `name` completes the verb, such as `your CLI VM`. Nothing for a VM that cannot be stopped or started. */
export function PowerButtons({ vm, name }: { vm: Vm; name: string }) {
  const power = useVmPower(vm.id);
  const [asking, setAsking] = useState<PowerVerb | null>(null);
  const error = power.error === null ? null : AppError.from(power.error).toBody();
  // The one that was pressed stays until it is answered, whatever the VM goes through.
  const verbs = power.isPending ? [power.variables] : powerOf(vm);
  const press = (verb: PowerVerb) => (verb !== 'start' && vm.uses > 0 ? setAsking(verb) : power.mutate(verb));
  return (
    <>
      {verbs.length > 0 && (
        <div className={styles.buttons}>
          {verbs.map((verb) => (
            <Button
              key={verb}
              size="xs"
              variant="default"
              loading={power.isPending}
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
        verb={asking}
        name={name}
        uses={vm.uses}
        onClose={(confirmed) => {
          setAsking(null);
          if (confirmed && asking !== null) power.mutate(asking);
        }}
      />
    </>
  );
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
