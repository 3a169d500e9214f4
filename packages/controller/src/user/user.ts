/**
 * The face of the user folder: people, their API tokens, login links and sign-ins. Secrets are stored as SHA-256 only. Every change is
 * noted with it, as done `by` somebody, or else by Airlock itself; changes of one user never overlap.
 */
import type { ListedUser, User } from '@airlock/contract/api';
import type { SignIn } from '@airlock/contract/sign-ins';
import type { Actor } from '../audit/audit.js';

/** Who has shown who they are. */
export interface Identified {
  user: User;
  /** The browser's sign-in, and its end, which use does not move; null for an API token. */
  signIn: { id: string; expiresAt: Date } | null;
}

export interface Users {
  /**
   * Id of the user whose API token, login token, ticket or cookie this may be, which comes with its page secret. Asks no database: for
   * another secret it says no, surely and at once.
   */
  ownerOf(secret: string, page?: string): string | undefined;
  /** The user whom an API token belongs to (the admin's is the file $AIRLOCK_HOME/token), or undefined, also while disabled. */
  byToken(token: string): Promise<User | undefined>;
  /** Who has this cookie and its page secret; undefined also while the user is disabled. Notes the use. */
  byCookie(cookie: string, page: string): Promise<Identified | undefined>;
  /** Whose cookie this is. It proves nothing about who sends it: cookies reach every port of a host. */
  holderOf(cookie: string): Promise<User | undefined>;
  list(): Promise<ListedUser[]>;
  /** @throws AppError not_found */
  get(userId: string): Promise<ListedUser>;
  /** The user's own port at the upstream proxy, which each start of a VM asks for. @throws AppError not_found, user_disabled */
  proxyPort(userId: string): Promise<number>;
  /** A new user with the next free proxy port; the token is returned this once. @throws AppError user_exists */
  create(name: string, by?: Actor): Promise<{ user: User; token: string }>;
  /**
   * A token in the place of the one there is, which is worth nothing any more, like every login link of this user, and every one that
   * was made with it. @throws AppError not_found
   */
  rotateToken(userId: string, by?: Actor): Promise<string>;
  /**
   * Keeps the user out: token, cookies, links and tickets are worth nothing from now on. `removing`: for good; `forget` ends it.
   * @throws AppError not_found, last_admin
   */
  keepOut(userId: string, how: 'disabled' | 'removing', by?: Actor): Promise<void>;
  /** Lets a disabled user in again, by the token of before. @throws AppError not_found, user_disabled while one is being removed */
  letIn(userId: string, by?: Actor): Promise<void>;
  /** Removes the row of a user who is being removed, once nothing belongs to them; the name is free then. Idempotent. */
  forget(userId: string): Promise<void>;
  /** Browsers that are signed in, the newest first. */
  signIns(userId: string): Promise<Omit<SignIn, 'current'>[]>;
  /** @throws AppError not_found, also for one of another user */
  endSignIn(userId: string, signIn: string, by?: Actor): Promise<void>;
  /**
   * Ends every sign-in, also one that is being made, every login link and ticket; the API token stays. Answers how many sign-ins there
   * were. @throws AppError not_found
   */
  endSignIns(userId: string, by?: Actor): Promise<number>;
  /** `madeWith`: hash of the API token that asks, with which the link ends; null for none. @throws AppError not_found, user_disabled */
  createLoginToken(
    userId: string,
    by?: { actor: Actor; madeWith: string | null },
  ): Promise<{ token: string; expiresAt: Date }>;
  /** Whose account a login token opens; it stays good. @throws AppError login_token_invalid */
  accountOf(token: string): Promise<{ user: User; expiresAt: Date }>;
  /** Trades a one-time login token for the two secrets of a sign-in. @throws AppError login_token_invalid, user_disabled */
  login(token: string): Promise<{ user: User; signIn: string; cookie: string; page: string; expiresAt: Date }>;
  /** `signIn`: that which asks, with which the ticket ends; null for an API token, the hash of which is `madeWith`. */
  createDesktopTicket(
    userId: string,
    vmId: string,
    signIn: string | null,
    madeWith?: string | null,
  ): Promise<{ ticket: string; expiresAt: Date }>;
  /** Who asked for it; good once. @throws AppError ticket_invalid */
  redeemDesktopTicket(ticket: string, vmId: string): Promise<Identified>;
  /** Removes what has expired. */
  sweep(): Promise<void>;
}
