/** /remote-cli/auth?session=…: one sign-in from its first step to its result. */
import { AppError } from '@airlock/contract/errors';
import { providers } from '@airlock/contract/provider/registry';
import { isFinal, type Session } from '@airlock/contract/session';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { ConnectionNotice } from '../ui/connection-notice.js';
import { LinkButton } from '../ui/link-button.js';
import { CardPage } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';
import { Assistance } from './assistance.js';
import { DesktopStage } from './desktop-stage.js';
import { guide } from './guidance.js';
import { OtherWays } from './other-ways.js';
import { ResultStage } from './result-stage.js';
import { SessionBar } from './session-bar.js';
import styles from './session-page.module.css';
import { useSession } from './use-session.js';
import { WaitingStage } from './waiting-stage.js';

const route = getRouteApi('/signed-in/remote-cli/auth');

export function SessionPage() {
  const { session: sessionId } = route.useSearch();
  if (sessionId === undefined) return <NoSession />;
  return <OneSession key={sessionId} sessionId={sessionId} />;
}

function OneSession({ sessionId }: { sessionId: string }) {
  const { session, error, stale } = useSession(sessionId);
  if (session !== undefined) {
    return (
      <>
        <SessionView session={session} />
        <ConnectionNotice lost={stale} />
      </>
    );
  }
  if (error === null) return <div className={styles.loading} aria-busy="true" />;
  const problem = AppError.from(error);
  if (problem.code === 'not_found' || problem.code === 'invalid_request') return <NoSession />;
  return <LoadFailed problem={problem} />;
}

function SessionView({ session }: { session: Session }) {
  const provider = providers[session.provider];
  const guidance = guide(session, provider);
  const final = isFinal(session.status);
  const [stepsOpen, setStepsOpen] = useState(false);
  const [looking, setLooking] = useState(false);
  const [otherWays, setOtherWays] = useState(false);
  const showDesktop = session.desktopReady && (!final || looking);
  useTitle(session.status === 'completed' ? guidance.title : `${guidance.title} · ${provider.name}`);
  return (
    <div className={styles.view}>
      <SessionBar
        session={session}
        provider={provider}
        guidance={guidance}
        compact={showDesktop}
        stepsOpen={stepsOpen}
        onToggleSteps={() => setStepsOpen(!stepsOpen)}
        onBackToResult={final ? () => setLooking(false) : null}
        onOtherWays={mayChange(session) ? () => setOtherWays(true) : null}
      />
      <Assistance session={session} provider={provider} onOtherWays={() => setOtherWays(true)} />
      <OtherWays session={session} provider={provider} opened={otherWays} onClose={() => setOtherWays(false)} />
      {showDesktop && <DesktopStage session={session} stepsOpen={stepsOpen} />}
      {!showDesktop && final && (
        <ResultStage session={session} provider={provider} guidance={guidance} onLook={() => setLooking(true)} />
      )}
      {!showDesktop && !final && <WaitingStage session={session} provider={provider} guidance={guidance} />}
    </div>
  );
}

/** The login can be begun anew. */
const mayChange = ({ status }: Session): boolean => status === 'ready' || status === 'awaiting_user_auth';

function NoSession() {
  useTitle('Sign-in not found');
  return (
    <CardPage title="There is no such sign-in" actions={<LinkButton to="/remote-cli">Go to your CLIs</LinkButton>}>
      <p data-testid="session-missing">
        The address may be incomplete, or the sign-in belongs to somebody else. Start one from the list of your CLIs.
      </p>
    </CardPage>
  );
}

function LoadFailed({ problem }: { problem: AppError }) {
  useTitle('Sign-in cannot be shown');
  return (
    <CardPage
      title="This sign-in cannot be shown"
      actions={
        <LinkButton to="/remote-cli" variant="default">
          Go to your CLIs
        </LinkButton>
      }
    >
      <div style={{ marginTop: 16 }}>
        <Problem error={problem.toBody()} announce />
      </div>
    </CardPage>
  );
}
