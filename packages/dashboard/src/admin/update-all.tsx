/** Puts all CLI VMs that are behind on the current image, and tells how many are under way. */
import type { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { isBehind, underWay } from '@airlock/contract/vm-update';
import { Button } from '@mantine/core';
import { Problem } from '../ui/problem.js';
import { useUpdateAll } from '../vm/use-vms.js';
import styles from './admin.module.css';

export function UpdateAll({ vms }: { vms: readonly Vm[] }) {
  const all = useUpdateAll();
  const behind = vms.filter(isBehind).length;
  const going = vms.filter((vm) => underWay(vm) !== null).length;
  return (
    <>
      {(behind > 0 || going > 0) && (
        <div className={styles.updateAll} aria-live="polite">
          {going > 0 && (
            <span>
              {going === 1 ? '1 VM is being updated.' : `${going} VMs are being updated, one after the other.`}
            </span>
          )}
          {behind > 0 && (
            <Button size="xs" loading={all.isPending} onClick={() => all.mutate()} data-testid="update-all">
              Update all ({behind})
            </Button>
          )}
        </div>
      )}
      {all.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(all.error).toBody()} announce />
        </div>
      )}
    </>
  );
}
