/** Notes in the audit that a login link opened nothing. Such a row stays, and anybody can cause it: so many an hour, and no more. */
import type { Actor, Audit } from '../audit/audit.js';

/** Whoever has not signed in. */
const nobody: Actor = { actorId: null, actorName: 'nobody', via: 'cookie' };
const hourMs = 3_600_000;
/** More than people cause by mistake; the last one says that others are not noted. */
const mostAnHour = 60;

/** Resolves once it is noted, or is one too many. `now`: milliseconds. */
export function createRefusals(audit: Pick<Audit, 'note'>, now = (): number => Date.now()): () => Promise<void> {
  let begun = now();
  let count = 0;
  return async () => {
    if (now() - begun >= hourMs) [begun, count] = [now(), 0];
    count += 1;
    if (count > mostAnHour) return;
    const details = { reason: 'login_token_invalid', ...(count === mostAnHour && { moreAreNotNoted: true }) };
    await audit.note({ actor: nobody, action: 'sign_in_refused', userId: null, details });
  };
}
