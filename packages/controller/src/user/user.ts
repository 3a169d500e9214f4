/** The face of the user folder: people, their API tokens, login links and cookies. Secrets are stored as SHA-256 only. */
import type { User } from '@airlock/contract/api';

export interface Users {
  /** Id of the user whose API token, cookie or login token this may be. Asks no database: for another secret it says no, surely and at once. */
  ownerOf(secret: string): string | undefined;
  /** The user whom an API token belongs to (the admin's is the file $AIRLOCK_HOME/token), or undefined. */
  byToken(token: string): Promise<User | undefined>;
  byCookie(cookie: string): Promise<User | undefined>;
  list(): Promise<User[]>;
  /** The user's own port at the upstream proxy. @throws AppError not_found */
  proxyPort(userId: string): Promise<number>;
  /** A new user with the next free proxy port; the token is returned this once. @throws AppError user_exists */
  create(name: string): Promise<{ user: User; token: string }>;
  /** @throws AppError not_found */
  createLoginToken(userId: string): Promise<{ token: string; expiresAt: Date }>;
  /** Trades a one-time login token for a cookie value. @throws AppError login_token_invalid */
  login(token: string): Promise<{ user: User; cookie: string; expiresAt: Date }>;
  logout(cookie: string): Promise<void>;
  createDesktopTicket(userId: string, vmId: string): Promise<{ ticket: string; expiresAt: Date }>;
  /** Good once. @throws AppError ticket_invalid */
  redeemDesktopTicket(ticket: string, vmId: string): Promise<{ userId: string }>;
  /** Removes what has expired. */
  sweep(): Promise<void>;
}
