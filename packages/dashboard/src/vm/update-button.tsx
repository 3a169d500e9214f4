/** Puts a CLI VM that is behind on the current image; asks first when something runs in it. */
import type { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { isBehind } from '@airlock/contract/vm-update';
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

/** Nothing for a VM that is not behind. */
export function UpdateButton({ vm, name, variant = 'filled' }: UpdateButtonProps) {
  const root = useVmRoot(vm.id);
  const [asking, setAsking] = useState(false);
  const press = () => (vm.uses > 0 ? setAsking(true) : root.mutate({ kind: 'update', now: false }));
  return (
    <>
      {(isBehind(vm) || root.isPending) && (
        <Button
          size="xs"
          variant={variant}
          loading={root.isPending}
          onClick={press}
          aria-label={`Update ${name}`}
          data-testid={`update-${vm.id}`}
        >
          Update
        </Button>
      )}
      {root.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(root.error).toBody()} announce />
        </div>
      )}
      <RootDialog
        kind="update"
        opened={asking}
        name={name}
        uses={vm.uses}
        onClose={(answer) => {
          setAsking(false);
          if (answer !== null) root.mutate({ kind: 'update', ...answer });
        }}
      />
    </>
  );
}
