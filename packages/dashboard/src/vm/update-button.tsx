/**
 * Puts a CLI VM that is behind on the current image; asks first when something runs in it. Where another system waits until nobody uses
 * the VM, it ends that wait.
 */
import type { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { isBehind, underWay } from '@airlock/contract/vm-update';
import { Button } from '@mantine/core';
import { useState } from 'react';
import { Problem } from '../ui/problem.js';
import styles from './power.module.css';
import { RootDialog } from './root-dialog.js';
import { useVmRoot } from './use-vms.js';

interface UpdateButtonProps {
  vm: Vm;
  /** Completes the verb, such as `your CLI VM`. */
  name: string;
  /** light: where it is one of many. */
  variant?: 'filled' | 'light';
}

/** Nothing where there is nothing to put in, or to wait for. */
export function UpdateButton({ vm, name, variant = 'filled' }: UpdateButtonProps) {
  const root = useVmRoot(vm.id);
  const [asking, setAsking] = useState(false);
  const waits = underWay(vm) === 'copied' && vm.uses > 0;
  const kind = waits && vm.update !== null ? vm.update.kind : 'update';
  const press = () => (vm.uses > 0 ? setAsking(true) : root.mutate({ kind, now: false }));
  return (
    <>
      {(isBehind(vm) || waits || root.isPending) && (
        <Button
          size="xs"
          variant={waits ? 'default' : variant}
          loading={root.isPending}
          onClick={press}
          aria-label={waits ? `Do not wait to ${kind} ${name}` : `Update ${name}`}
          data-testid={`update-${vm.id}`}
        >
          {waits ? 'Do not wait' : 'Update'}
        </Button>
      )}
      {root.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(root.error).toBody()} announce />
        </div>
      )}
      <RootDialog
        kind={kind}
        opened={asking}
        name={name}
        uses={vm.uses}
        onClose={(answer) => {
          setAsking(false);
          if (answer !== null) root.mutate({ kind, ...answer });
        }}
      />
    </>
  );
}
