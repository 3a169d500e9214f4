/** "Your CLI VM": how the person's own stands, and stopping and starting it by hand. Nothing where there is none. */
import { serverNowMs } from '../api/clock.js';
import { Problem } from '../ui/problem.js';
import { StatusDot } from '../ui/status-dot.js';
import { useMe } from '../user/me.js';
import styles from './own-vm.module.css';
import { PowerButtons } from './power-buttons.js';
import { UpdateLine } from './update-line.js';
import { useVms } from './use-vms.js';
import { describeOwn, tones } from './vm-state.js';

export function OwnVm() {
  const me = useMe();
  // An administrator is shown those of everybody.
  const vm = useVms().data?.find(
    ({ kind, userId, state }) => kind === 'cli' && userId === me.id && state !== 'failed' && state !== 'destroyed',
  );
  if (vm === undefined) return null;
  const { label, note } = describeOwn(vm, serverNowMs());
  return (
    <section className={styles.box} aria-labelledby="own-vm" data-testid="own-vm" data-state={vm.state}>
      <div className={styles.words}>
        <h2 id="own-vm">Your CLI VM</h2>
        <div aria-live="polite">
          <p className={styles.state}>
            <StatusDot tone={vm.error === null ? tones[vm.state] : 'bad'} />
            {label}
          </p>
          {note !== '' && <p className={styles.note}>{note}</p>}
        </div>
      </div>
      <PowerButtons vm={vm} name="your CLI VM" />
      {vm.error !== null && (
        <div className={styles.whole}>
          <Problem error={vm.error} announce />
        </div>
      )}
      <UpdateLine vm={vm} name="your CLI VM" />
    </section>
  );
}
