/** The bar over a sign-in: where one is, what to do next, how much time is left, and the way out. */
import type { Provider } from '@airlock/contract/provider/provider';
import { isFinal, type Session } from '@airlock/contract/session';
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { BrandMark } from '../ui/brand.js';
import { VaultOwner } from '../user/vault-owner.js';
import { CancelButton } from './cancel-button.js';
import { Countdown } from './countdown.js';
import { currentStep, progress, type Guidance } from './guidance.js';
import styles from './session-bar.module.css';
import { StatusSentence } from './status-sentence.js';

interface SessionBarProps {
  session: Session;
  provider: Provider;
  guidance: Guidance;
  /** True while the desktop is shown: the bar then carries the sentence and the way to the steps. */
  compact: boolean;
  stepsOpen: boolean;
  onToggleSteps: () => void;
  /** Set when the desktop of an ended session is looked at. */
  onBackToResult: (() => void) | null;
  /** Set while another way to sign in can be taken. */
  onOtherWays: (() => void) | null;
}

export function SessionBar(props: SessionBarProps) {
  const { session, provider, guidance, compact } = props;
  return (
    <header className={styles.bar} data-compact={compact}>
      <Link to="/remote-cli" className={styles.home} aria-label="Airlock: all your CLIs">
        <BrandMark />
      </Link>
      <p className={styles.name}>
        <span className={styles.back}>Connect</span> {provider.name}
      </p>
      <div className={styles.owner}>
        <VaultOwner />
      </div>
      {compact && (
        <div className={styles.guidance}>
          <h1>{guidance.title}</h1> <StatusSentence session={session} sentence={guidance.sentence} />
        </div>
      )}
      <div className={styles.tools}>
        <Countdown session={session} />
        {props.onOtherWays !== null && (
          <Button size="xs" variant="default" onClick={props.onOtherWays} data-testid="other-ways">
            <span className={styles.long}>Something not working?</span>
            <span className={styles.short}>Help</span>
          </Button>
        )}
        {compact && <StepsToggle {...props} />}
        {compact && props.onBackToResult !== null && (
          <Button size="xs" variant="default" onClick={props.onBackToResult}>
            Back to the result
          </Button>
        )}
        {!isFinal(session.status) && <CancelButton sessionId={session.id} providerName={provider.name} />}
      </div>
      <ProgressLine session={session} />
      {/* Read out on every change, wherever the words stand on the page. */}
      <p className={styles.spoken} aria-live="polite">
        {guidance.title}. {guidance.sentence} {currentStep(session.steps)?.title}
      </p>
    </header>
  );
}

function StepsToggle({ session, stepsOpen, onToggleSteps }: SessionBarProps) {
  const { done, total } = progress(session.steps);
  return (
    <span className={styles.stepsToggle}>
      <Button
        size="xs"
        variant="default"
        aria-expanded={stepsOpen}
        aria-controls="session-steps"
        onClick={onToggleSteps}
        data-testid="toggle-steps"
      >
        {stepsOpen ? 'Hide steps' : `Steps ${done}/${total}`}
      </Button>
    </span>
  );
}

function ProgressLine({ session }: { session: Session }) {
  const { done, total } = progress(session.steps);
  return (
    <div className={styles.progress} data-status={session.status} aria-hidden="true">
      <div style={{ transform: `scaleX(${total === 0 ? 0 : done / total})` }} />
    </div>
  );
}
