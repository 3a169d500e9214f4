/** Before the desktop can be shown: the steps, and the place where it will appear. */
import type { Provider } from '@airlock/contract/provider/provider';
import type { Session } from '@airlock/contract/session';
import type { Guidance } from './guidance.js';
import { StatusSentence } from './status-sentence.js';
import { StepList } from './step-list.js';
import styles from './waiting-stage.module.css';

interface WaitingStageProps {
  session: Session;
  provider: Provider;
  guidance: Guidance;
}

export function WaitingStage({ session, provider, guidance }: WaitingStageProps) {
  return (
    <main className={styles.stage}>
      <div className={styles.column}>
        <h1 className={styles.title}>{guidance.title}</h1>
        <div className={styles.sentence}>
          <StatusSentence session={session} sentence={guidance.sentence} />
        </div>
        <div className={styles.steps}>
          <StepList session={session} />
        </div>
      </div>
      <div className={styles.frame} aria-hidden="true">
        <div className={styles.window}>
          <div className={styles.titleBar}>Browser</div>
        </div>
        <div className={styles.window} data-kind="terminal">
          <div className={styles.titleBar}>Terminal</div>
          <code>
            $ {provider.program}
            <span className={styles.caret} />
          </code>
        </div>
        <p className={styles.caption}>The desktop appears here</p>
      </div>
    </main>
  );
}
