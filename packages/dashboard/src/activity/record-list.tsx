/** What was done, the newest first: in words, when, and by whom. */
import { Button } from '@mantine/core';
import { auditActions, type AuditRecord } from '@airlock/contract/audit';
import { serverNowMs } from '../api/clock.js';
import { formatMoment } from '../ui/time.js';
import { useMe } from '../user/me.js';
import styles from './activity.module.css';
import { byWhom } from './words.js';

interface RecordListProps {
  records: readonly AuditRecord[];
  /** Shows older ones; undefined when there are none. */
  onMore: (() => void) | undefined;
}

export function RecordList({ records, onMore }: RecordListProps) {
  const me = useMe();
  return (
    <section className={styles.box}>
      <h2>What was done</h2>
      {records.length === 0 && <p className={styles.note}>Nothing yet.</p>}
      <ul className={styles.list} data-testid="audit-records">
        {records.map((record) => (
          <li key={record.id}>
            <span className={styles.what}>
              {auditActions[record.action]}
              {record.subject !== null && <small className={styles.note}>{record.subject}</small>}
            </span>
            <span className={styles.note}>
              {byWhom(record, me)}, {formatMoment(record.at, serverNowMs())}
            </span>
          </li>
        ))}
      </ul>
      {onMore && (
        <Button variant="default" onClick={onMore}>
          Show older
        </Button>
      )}
    </section>
  );
}
