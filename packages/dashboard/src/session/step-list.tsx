/** The steps of a sign-in with the time that each took. */
import type { Session, SessionStep } from '@airlock/contract/session';
import { isFinal } from '@airlock/contract/session';
import { formatElapsed } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';
import { stepElapsedMs } from './guidance.js';
import styles from './step-list.module.css';

const spoken: Record<SessionStep['status'], string> = {
  waiting: 'not started',
  running: 'running',
  done: 'done',
  failed: 'failed',
  skipped: 'skipped',
};

export function StepList({ session }: { session: Session }) {
  const nowMs = useNow(!isFinal(session.status));
  return (
    <ol className={styles.list} aria-label="Steps of this sign-in">
      {session.steps.map((step) => (
        <Step key={step.name} step={step} nowMs={nowMs} />
      ))}
    </ol>
  );
}

function Step({ step, nowMs }: { step: SessionStep; nowMs: number }) {
  const elapsedMs = stepElapsedMs(step, nowMs);
  return (
    <li
      className={styles.step}
      data-testid={`step-${step.name}`}
      data-status={step.status}
      aria-current={step.status === 'running' ? 'step' : undefined}
    >
      <Icon status={step.status} />
      <div className={styles.words}>
        <p className={styles.title}>{step.title}</p>
        {step.detail !== null && <p className={styles.detail}>{step.detail}</p>}
      </div>
      <span className={styles.spoken}>{spoken[step.status]}</span>
      <span className={styles.elapsed}>{elapsedMs === null ? '' : formatElapsed(elapsedMs)}</span>
    </li>
  );
}

const paths: Partial<Record<SessionStep['status'], string>> = {
  done: 'M5.5 10.5l3 3 6-6.5',
  failed: 'M7 7l6 6M13 7l-6 6',
  skipped: 'M6.5 10h7',
};

function Icon({ status }: { status: SessionStep['status'] }) {
  const path = paths[status];
  return (
    <svg className={styles.icon} viewBox="0 0 20 20" aria-hidden="true">
      <circle className={styles.ring} cx="10" cy="10" r="8.5" />
      {status === 'running' && <circle className={styles.sweep} cx="10" cy="10" r="8.5" />}
      {path !== undefined && <path className={styles.sign} d={path} />}
    </svg>
  );
}
