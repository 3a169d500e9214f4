/** Asks before a CLI VM gets another system: what is lost, and whether prompts that run in it are waited for. */
import type { VmUpdateKind } from '@airlock/contract/api';
import { Button } from '@mantine/core';
import { Dialog } from '../ui/dialog.js';
import styles from './power.module.css';

interface RootDialogProps {
  kind: VmUpdateKind;
  opened: boolean;
  /** Completes the verb, such as `your CLI VM`. */
  name: string;
  uses: number;
  /** `now`: whatever uses the VM; null: not at all. */
  onClose: (answer: { now: boolean } | null) => void;
}

const words = { update: 'Update', reset: 'Reset' } as const satisfies Record<VmUpdateKind, string>;

export function RootDialog({ kind, opened, name, uses, onClose }: RootDialogProps) {
  return (
    <Dialog opened={opened} onClose={() => onClose(null)} title={`${words[kind]} ${name}?`}>
      {kind === 'reset' && (
        <p className={styles.text}>
          It gets a fresh system. The home stays, with its files and logins; everything outside of the home is lost.
        </p>
      )}
      {uses > 0 && (
        <p className={styles.text}>
          {uses === 1 ? 'A prompt or a check runs in it' : `${uses} prompts or checks run in it`}. If you do not wait,{' '}
          {uses === 1 ? 'it ends' : 'they end'} without an answer.
        </p>
      )}
      <div className={styles.actions}>
        {uses > 0 ? (
          <Button variant="default" onClick={() => onClose({ now: false })} data-autofocus data-testid="root-later">
            Wait
          </Button>
        ) : (
          <Button variant="default" onClick={() => onClose(null)} data-autofocus>
            Leave it as it is
          </Button>
        )}
        <Button color="red" onClick={() => onClose({ now: uses > 0 })} data-testid="root-confirm">
          {uses > 0 ? `${words[kind]} now` : words[kind]}
        </Button>
      </div>
    </Dialog>
  );
}
