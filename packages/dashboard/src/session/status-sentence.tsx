/** The one sentence that says what to do next. Shown once on the page, in the bar or in the stage. */
import type { Session } from '@airlock/contract/session';

export function StatusSentence({ session, sentence }: { session: Session; sentence: string }) {
  return (
    <p data-testid="session-status" data-status={session.status}>
      {sentence}
    </p>
  );
}
