/** The face of the revocation folder: who is kept out, and what ends with that. Who asks is noted with it. */
import type { Actor } from '../audit/audit.js';
import type { Live } from './connections.js';

/** Who asks, and the request that asks, which is to have its answer. */
export interface By {
  actor: Actor;
  live?: Live | undefined;
}

export interface Revocation {
  /**
   * Keeps the user out. When this resolves, token, cookies, links, tickets and connections have ended, sign-ins at providers are
   * cancelled, browser VMs destroyed and CLI VMs stopped. The first part is done at once; what breaks off of the rest is done by the sweep.
   * @throws AppError not_found, last_admin, and what a VM does not end by
   */
  disable(userId: string, by: By): Promise<void>;
  /** @throws AppError not_found, user_disabled while the user is being removed */
  enable(userId: string, by: By): Promise<void>;
  /** As `disable`, and then all that is theirs goes: credentials, VMs with their homes, records, the user. @throws as `disable` */
  remove(userId: string, by: By): Promise<void>;
  /** Another API token, which this answers; connections by the old one end. @throws AppError not_found */
  rotateToken(userId: string, by: By): Promise<string>;
  /** Ends one browser's sign-in with its connections. @throws AppError not_found */
  endSignIn(userId: string, signIn: string, by: By): Promise<void>;
  /** Ends every browser's sign-in, and every link. Answers how many sign-ins there were. @throws AppError not_found */
  signOutEverywhere(userId: string, by: By): Promise<number>;
  /** At start: goes on with whatever broke off, again and again. */
  resume(): void;
  close(): Promise<void>;
}
