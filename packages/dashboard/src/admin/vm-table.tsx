/** All VMs, newest first. */
import type { User, Vm } from '@airlock/contract/api';
import type { ErrorBody } from '@airlock/contract/errors';
import { serverNowMs } from '../api/clock.js';
import { StatusDot } from '../ui/status-dot.js';
import { formatElapsed, formatMoment } from '../ui/time.js';
import { PowerButtons } from '../vm/power-buttons.js';
import { UpdateButton } from '../vm/update-button.js';
import { describeAvailable, describeFailure, describeUnderWay } from '../vm/update-state.js';
import { describeEnd } from '../vm/vm-end.js';
import { tones } from '../vm/vm-state.js';
import { UpdateAll } from './update-all.js';
import styles from './admin.module.css';

export function VmTable({ vms, users }: { vms: readonly Vm[]; users: readonly User[] }) {
  const names = new Map(users.map(({ id, name }) => [id, name]));
  const newestFirst = vms.toSorted((a, b) => b.createdAt.localeCompare(a.createdAt));
  return (
    <section className={styles.vms}>
      <div className={styles.vmsHead}>
        <h2>Virtual machines</h2>
        <UpdateAll vms={vms} />
      </div>
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
                <Row key={vm.id} vm={vm} owner={vm.userId === null ? 'Nobody yet' : names.get(vm.userId)} />
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
        <ErrorNote error={vm.error} />
        <UpdateNote vm={vm} />
      </td>
      <td data-label="Kind">{vm.kind === 'cli' ? 'CLI' : 'Browser'}</td>
      <td data-label="VM">
        <code>{vm.id}</code>
      </td>
      <td data-label="Owner" title={vm.userId ?? undefined}>
        {owner ?? '–'}
      </td>
      <td data-label="Made">{formatMoment(vm.createdAt, nowMs)}</td>
      <td data-label="Ready in">{vm.timings.readyMs === null ? '–' : formatElapsed(vm.timings.readyMs)}</td>
      <td data-label="End">
        <div className={styles.end}>
          <span>{describeEnd(vm, nowMs)}</span>
          {vm.kind === 'cli' && <PowerButtons vm={vm} name={vm.id} />}
          {vm.kind === 'cli' && <UpdateButton vm={vm} name={vm.id} variant="light" />}
        </div>
      </td>
    </tr>
  );
}

function ErrorNote({ error }: { error: ErrorBody | null }) {
  if (error === null) return null;
  return (
    <small className={styles.error}>
      <span>{error.message}</span>
      {error.hint !== '' && <span className={styles.hint}>{error.hint}</span>}
    </small>
  );
}

/** Whether the VM is behind, how far its update has come, or why that failed. */
function UpdateNote({ vm }: { vm: Vm }) {
  const failure = describeFailure(vm);
  const note = failure ?? describeUnderWay(vm)?.label ?? null;
  const available = describeAvailable(vm);
  return (
    <>
      {note !== null && <small className={styles.note}>{note}</small>}
      {failure !== null && <ErrorNote error={vm.update?.error ?? null} />}
      {available !== null && (
        <small className={styles.note} title={available}>
          Update available
        </small>
      )}
    </>
  );
}
