/** The controller's own state as a list of facts. */
import type { SystemStatus } from '@airlock/contract/api';
import { serverNowMs } from '../api/clock.js';
import { formatMoment } from '../ui/time.js';
import styles from './admin.module.css';

export function SystemFacts({ system }: { system: SystemStatus }) {
  const database = system.database === 'pglite' ? 'an embedded database (PGlite)' : 'PostgreSQL';
  const facts: [name: string, value: string, note?: string][] = [
    ['Version', system.version, `since ${formatMoment(system.startedAt, serverNowMs())}, on ${database}`],
    ['Virtual machines', `${system.vms.running} running`, `${system.vms.total} in all`],
    ['Acceleration', system.accel === 'kvm' ? 'KVM' : 'Software (TCG)', system.accelReason],
    ['VMM', system.driver ?? 'none', system.driverReason],
    ['Network of VMs', system.network === 'netns' ? 'A namespace for each' : 'The VMM’s own', system.networkReason],
    ['Golden image', system.imageId ?? 'none is current'],
  ];
  return (
    <>
      <dl className={styles.facts}>
        {facts.map(([name, value, note]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {value}
              {note !== undefined && <small>{note}</small>}
            </dd>
          </div>
        ))}
      </dl>
      {system.lostVmFolders.length > 0 && (
        <div className={styles.lost} role="note">
          <strong>VM folders that belong to no known VM</strong>, left alone:
          <ul>
            {system.lostVmFolders.map((folder) => (
              <li key={folder}>
                <code>{folder}</code>
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}
