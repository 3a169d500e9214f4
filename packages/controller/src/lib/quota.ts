/** What one user may have at a time, or in a time, so that a greedy one leaves room for others. */
import { AppError } from '@airlock/contract/errors';
import type { SettingName } from '@airlock/contract/settings';

export interface Quota {
  /** As `details.quota` of the error names it. */
  name: string;
  limit: number;
  /** In the words of a sentence: "event streams at a time". */
  what: string;
  /** Where an administrator changes it. */
  setting?: SettingName;
}

/** `again`: when there is room; null for as soon as one of them has ended. */
export function quotaExceeded({ name, limit, what, setting }: Quota, again: Date | null): AppError {
  const retryAt = again?.toISOString() ?? null;
  const when = retryAt === null ? 'End one of them, and try again.' : `Try again after ${retryAt}.`;
  return new AppError('quota_exceeded', `A user may have ${limit} ${what}, and has that many.`, {
    hint: setting === undefined ? when : `${when} An administrator may allow more: ${setting}.`,
    details: { quota: name, limit, retryAt },
  });
}

export interface Tally {
  /** Counts one for this user, until the returned function is called, which is idempotent. @throws AppError quota_exceeded */
  take(userId: string): () => void;
}

/** Of what is there at a time. Keeps nothing of a user who has none. */
export function createTally(quota: Quota): Tally {
  const counts = new Map<string, number>();
  return {
    take(userId) {
      const count = counts.get(userId) ?? 0;
      if (count >= quota.limit) throw quotaExceeded(quota, null);
      counts.set(userId, count + 1);
      let isHeld = true;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        const left = (counts.get(userId) ?? 0) - 1;
        if (left > 0) counts.set(userId, left);
        else counts.delete(userId);
      };
    },
  };
}
