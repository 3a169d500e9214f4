/** While the desktop is shown: it takes the window; the steps are beside it, or below it on a small screen. */
import type { Session } from '@airlock/contract/session';
import { lazy, Suspense } from 'react';
import styles from './desktop-stage.module.css';
import { StepList } from './step-list.js';

// noVNC is by far the largest part of the page: it loads only when a desktop is opened.
const Desktop = lazy(async () => ({ default: (await import('../desktop/desktop.js')).Desktop }));

export function DesktopStage({ session, stepsOpen }: { session: Session; stepsOpen: boolean }) {
  return (
    <main className={styles.stage} data-steps-open={stepsOpen}>
      <div className={styles.desktop}>
        <Suspense fallback={null}>
          {session.browserVmId !== null && (
            <Desktop key={session.browserVmId} vmId={session.browserVmId} sessionId={session.id} />
          )}
        </Suspense>
      </div>
      <aside id="session-steps" className={styles.steps}>
        <StepList session={session} />
      </aside>
    </main>
  );
}
