/** A Codex sign-in as the controller tells it, for tests of pages that give the controller's answers themselves. */
import { Session, sessionSteps, type StepName } from '@airlock/contract/session';

export const sessionId = 'ses_0123456789abcdef';

const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

/** It is the person's turn, with the desktop before them, but for `values`. */
export function sampleSession(values: Partial<Session> = {}): Session {
  const at = new Date().toISOString();
  const soon = inSeconds(200);
  return Session.parse({
    ...{ id: sessionId, sessionId, provider: 'codex', status: 'awaiting_user_auth', revision: 1 },
    ...{ createdAt: at, updatedAt: at, deadlineAt: soon, expiresAt: soon, expiresAtMost: inSeconds(1500) },
    ...{ destroyAt: null, browserVmId: 'vm_0123456789abcdef', cliVmId: null, desktopReady: true },
    ...{ notice: null, error: null, login: { method: 'browser', deviceCode: null, takesCode: false } },
    steps: Object.entries(sessionSteps).map(([name, title]) => {
      return { name: name as StepName, title, status: 'waiting', startedAt: null, finishedAt: null, detail: null };
    }),
    ...values,
  });
}
