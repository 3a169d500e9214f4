/** Uses of CLI VMs that are under way: one that is in use is not stopped as idle. */
import type { VmContext } from './context.js';

/** Counts one use of the user's CLI VM; the answer ends it. */
export function beginUse({ uses }: VmContext, userId: string): () => void {
  uses.set(userId, (uses.get(userId) ?? 0) + 1);
  return () => {
    const left = (uses.get(userId) ?? 0) - 1;
    if (left > 0) uses.set(userId, left);
    else uses.delete(userId);
  };
}
