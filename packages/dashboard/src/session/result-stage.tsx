/** How a sign-in ended, and what can be done now. */
import type { Provider } from '@airlock/contract/provider/provider';
import type { Session } from '@airlock/contract/session';
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { serverNowMs } from '../api/clock.js';
import { LinkButton } from '../ui/link-button.js';
import { Problem } from '../ui/problem.js';
import { formatMoment } from '../ui/time.js';
import { useMe } from '../user/me.js';
import type { Guidance } from './guidance.js';
import styles from './result-stage.module.css';
import { StatusSentence } from './status-sentence.js';
import { StepList } from './step-list.js';
import { useStartSession } from './use-start-session.js';

interface ResultStageProps {
  session: Session;
  provider: Provider;
  guidance: Guidance;
  onLook: () => void;
}

export function ResultStage(props: ResultStageProps) {
  const { session, guidance } = props;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <main className={styles.stage}>
      <section className={styles.card} data-testid="result" data-status={session.status}>
        <ResultIcon status={session.status} />
        <h1 className={styles.title} ref={heading} tabIndex={-1}>
          {guidance.title}
        </h1>
        <div className={styles.sentence}>
          <StatusSentence session={session} sentence={guidance.sentence} />
        </div>
        {session.status === 'completed' ? <Completed {...props} /> : <NotCompleted {...props} />}
        <details className={styles.steps} open={session.status === 'failed'}>
          <summary>What was done, step by step</summary>
          <StepList session={session} />
        </details>
      </section>
    </main>
  );
}

function Completed({ session, provider, onLook }: ResultStageProps) {
  const { name } = useMe();
  return (
    <>
      <p className={styles.text}>
        {provider.name} runs there from now on, signed in as you. The credential is sealed in the vault of{' '}
        <strong>{name}</strong>, and <code>{provider.program}</code> itself has confirmed that it works.
      </p>
      <p className={styles.text}>
        <DesktopEnd session={session} />
      </p>
      <div className={styles.actions}>
        <LinkButton to="/remote-cli">Back to your CLIs</LinkButton>
        {session.desktopReady && (
          <Button variant="default" onClick={onLook} data-testid="show-desktop">
            Look at the desktop
          </Button>
        )}
      </div>
    </>
  );
}

function DesktopEnd({ session: { desktopReady, destroyAt } }: { session: Session }) {
  if (!desktopReady) return 'The private computer of this sign-in is gone, with everything on it.';
  if (destroyAt === null) return 'Its desktop can still be looked at.';
  return (
    <>
      Its desktop stays until{' '}
      <time dateTime={destroyAt} className={styles.time}>
        {formatMoment(destroyAt, serverNowMs())}
      </time>
      ; then the private computer is destroyed, with everything on it.
    </>
  );
}

function NotCompleted({ session, provider }: ResultStageProps) {
  const start = useStartSession();
  return (
    <>
      {session.error !== null && (
        <div className={styles.problem}>
          <Problem error={session.error} />
        </div>
      )}
      {start.error !== null && (
        <div className={styles.problem}>
          <Problem error={AppError.from(start.error).toBody()} announce />
        </div>
      )}
      <div className={styles.actions}>
        <Button loading={start.isPending} onClick={() => start.mutate(provider.id)} data-testid="try-again">
          Try again
        </Button>
        <LinkButton to="/remote-cli" variant="default">
          Back to your CLIs
        </LinkButton>
      </div>
    </>
  );
}

function ResultIcon({ status }: { status: Session['status'] }) {
  const tone = status === 'completed' ? 'good' : status === 'cancelled' ? 'quiet' : 'bad';
  const path = { good: 'M15 24.5l6.5 6.5L33.5 17.5', quiet: 'M17 24h14', bad: 'M24 14.5v12M24 33v.5' }[tone];
  return (
    <svg className={styles.icon} data-tone={tone} viewBox="0 0 48 48" aria-hidden="true">
      <circle cx="24" cy="24" r="23" />
      <path d={path} />
    </svg>
  );
}
