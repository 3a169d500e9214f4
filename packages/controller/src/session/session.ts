/** The face of the session folder: sign-ins as http sees them. */
import type { LoginMethod } from '@airlock/contract/guest';
import type { LoginSettings } from '@airlock/contract/provider/setting';
import type { Session } from '@airlock/contract/session';
import type { Actor } from '../audit/audit.js';
import type { ProviderId } from '@airlock/contract/provider/provider';

export interface Sessions {
  /** Makes the session's row and sets it going; answers before any VM work. @throws AppError provider_unavailable, session_busy, quota_exceeded, image_missing, capacity_exhausted */
  start(userId: string, provider: ProviderId, by?: Actor): Promise<Session>;
  /** A session of this user. @throws AppError not_found, also for one of another user */
  get(userId: string, sessionId: string): Promise<Session>;
  /** Newest first, at most 50. */
  list(userId: string): Promise<Session[]>;
  /** Ends it whatever it is doing, and destroys its browser VM. `by` is for the audit. @throws AppError not_found, session_finished */
  cancel(userId: string, sessionId: string, by: Actor): Promise<Session>;
  /**
   * Gives the person another AIRLOCK_SIGN_IN_TIMEOUT_S.
   * @throws AppError not_found, session_finished, session_not_waiting, time_limit_reached
   */
  extend(userId: string, sessionId: string): Promise<Session>;
  /**
   * Starts the login anew in the same VM, by this method. Whatever login runs there is ended. `settings`: for a CLI that asked for
   * them; the credential that it has written stays.
   * @throws AppError not_found, session_finished, session_not_waiting, invalid_request, provider_unavailable when it has no such method,
   * image_too_old when the agent has none
   */
  restartLogin(userId: string, sessionId: string, method: LoginMethod, settings?: LoginSettings): Promise<Session>;
  /**
   * Gives the CLI the code that the page showed, or by method callback the address to which it led.
   * @throws AppError not_found, session_finished, session_not_waiting, invalid_request, login_running, login_failed
   */
  typeCode(userId: string, sessionId: string, code: string): Promise<Session>;
  /** The person uses the desktop of this session: their clock is prolonged. Cheap enough for every key; never throws. */
  noteActivity(sessionId: string): void;
  /** Calls `listener` with the whole session at once and after each change, until the returned function is called. */
  subscribe(userId: string, sessionId: string, listener: (session: Session) => void): Promise<() => void>;
  /**
   * Ends everybody's open sign-ins as failed, and what they made with them; a credential that is being handed over is put back.
   * Resolves when none of them makes a VM any more.
   */
  endAll(by: Actor): Promise<void>;
  /** Cancels every open sign-in of this user, and resolves as `endAll`. */
  cancelAll(userId: string, by: Actor): Promise<void>;
  /** Removes the records of this user's sign-ins, all of which have ended. */
  forget(userId: string): Promise<void>;
  /** At start: takes up every session that is not final. */
  resume(): Promise<void>;
  /** Stops driving; rows stay as they are, to be resumed. */
  close(): Promise<void>;
}
