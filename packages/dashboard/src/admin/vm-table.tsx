/** All VMs, newest first. */
import type { User, Vm } from '@airlock/contract/api';
import { serverNowMs } from '../api/clock.js';
import { StatusDot } from '../ui/status-dot.js';
import { formatElapsed, formatMoment } from '../ui/time.js';
import { PowerButtons } from '../vm/power-buttons.js';
import { describeEnd } from '../vm/vm-end.js';
import { tones } from '../vm/vm-state.js';
import styles from './admin.module.css';

export function VmTable({ vms, users }: { vms: readonly Vm[]; users: readonly User[] }) {
  const names = new Map(users.map(({ id, name }) => [id, name]));
  const newestFirst = vms.toSorted((a, b) => b.createdAt.localeCompare(a.createdAt));
  return (
    <section className={styles.vms}>
      <h2>Virtual machines</h2>
      {vms.length === 0 ? (
        <p className={styles.none}>There are none. The first starts with the first sign-in.</p>
      ) : (
        <div className={styles.scroll}>
          <table aria-label="Virtual machines">
            <thead>
              <tr>
                <th scope="col">State</th>
                <th scope="col">Kind</th>
                <th scope="col">VM</th>
                <th scope="col">Owner</th>
                <th scope="col">Made</th>
                <th scope="col">Ready in</th>
                <th scope="col">End</th>
              </tr>
            </thead>
            <tbody>
              {newestFirst.map((vm) => (
                <Row key={vm.id} vm={vm} owner={names.get(vm.userId)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** `owner`: the user's name, as far as it is known. */
function Row({ vm, owner }: { vm: Vm; owner: string | undefined }) {
  const nowMs = serverNowMs();
  return (
    <tr>
      <td>
        <span className={styles.state}>
          <StatusDot tone={tones[vm.state]} />
          {vm.state}
        </span>
        {vm.error !== null && (
          <small className={styles.error}>
            <span>{vm.error.message}</span>
            {vm.error.hint !== '' && <span className={styles.hint}>{vm.error.hint}</span>}
          </small>
        )}
      </td>
      <td data-label="Kind">{vm.kind === 'cli' ? 'CLI' : 'Browser'}</td>
      <td data-label="VM">
        <code>{vm.id}</code>
      </td>
      <td data-label="Owner" title={vm.userId}>
        {owner ?? '–'}
      </td>
      <td data-label="Made">{formatMoment(vm.createdAt, nowMs)}</td>
      <td data-label="Ready in">{vm.timings.readyMs === null ? '–' : formatElapsed(vm.timings.readyMs)}</td>
      <td data-label="End">
        <div className={styles.end}>
          <span>{describeEnd(vm, nowMs)}</span>
          {vm.kind === 'cli' && <PowerButtons vm={vm} name={vm.id} />}
        </div>
      </td>
    </tr>
  );
}
