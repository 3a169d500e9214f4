/** Below a CLI VM's state: what an update would bring and the button for it, how far one has come, or why it failed. */
import type { Vm } from '@airlock/contract/api';
import { Problem } from '../ui/problem.js';
import { StatusDot } from '../ui/status-dot.js';
import styles from './own-vm.module.css';
import { UpdateButton } from './update-button.js';
import { describeAvailable, describeFailure, describeUnderWay } from './update-state.js';

export function UpdateLine({ vm, name }: { vm: Vm; name: string }) {
  const going = describeUnderWay(vm);
  const failure = describeFailure(vm);
  const available = describeAvailable(vm);
  if (going === null && failure === null && available === null) return null;
  return (
    <div className={styles.update} data-testid="vm-update" data-state={vm.update?.state ?? ''}>
      <div className={going === null ? styles.whole : styles.words} aria-live="polite">
        {going !== null && <State tone="busy" text={going.label} />}
        {going !== null && <p className={styles.note}>{going.note}</p>}
        {failure !== null && <State tone="bad" text={failure} />}
      </div>
      {failure !== null && vm.update?.error && (
        <div className={styles.whole}>
          <Problem error={vm.update.error} announce />
        </div>
      )}
      {available !== null && <p className={styles.words}>{available}</p>}
      <UpdateButton vm={vm} name={name} />
    </div>
  );
}

function State({ tone, text }: { tone: 'busy' | 'bad'; text: string }) {
  return (
    <p className={styles.state}>
      <StatusDot tone={tone} />
      {text}
    </p>
  );
}
