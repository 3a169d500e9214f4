/** The status of this VM: kept in memory, written atomically to status.json on each change, waited for by long polls. */
import { EventEmitter, once } from 'node:events';
import { replaceFile } from '@airlock/contract/file';
import type { RunnerStatus } from '@airlock/contract/runner';

export interface StatusStore {
  current(): RunnerStatus;
  /** Applies a change: the revision grows, waiters wake up, the file is written in the background. */
  update(change: Partial<Omit<RunnerStatus, 'revision'>>): void;
  /** The status once its revision is beyond `after`, or as it is when `timeoutMs` have passed. */
  waitAfter(after: number, timeoutMs: number): Promise<RunnerStatus>;
  /** Resolves when the newest status is in the file. */
  flush(): Promise<void>;
}

export interface StatusOptions {
  path: string;
  initial: RunnerStatus;
  /** Figures that change too often to be revisions, filled in whenever the status is looked at. */
  egress: () => RunnerStatus['egress'];
  onError: (error: unknown) => void;
}

/** A store that has already begun to write `initial`. */
export function createStatusStore(options: StatusOptions): StatusStore {
  const changes = new EventEmitter().setMaxListeners(0);
  let status = options.initial;
  let writing: Promise<void> = Promise.resolve();
  let queued = false;

  const current = (): RunnerStatus => ({ ...status, egress: options.egress() });

  function save(): void {
    if (queued) return;
    queued = true;
    writing = writing
      .then(async () => {
        queued = false;
        // Not durable: after a power cut there is no VM that it would tell of.
        const text = `${JSON.stringify(current(), null, 2)}\n`;
        await replaceFile(options.path, text, { durable: false, soleWriter: true });
      })
      .catch(options.onError);
  }

  save();
  return {
    current,
    update(change) {
      status = { ...status, ...change, revision: status.revision + 1 };
      save();
      changes.emit('change');
    },
    async waitAfter(after, timeoutMs) {
      const signal = AbortSignal.timeout(timeoutMs);
      while (status.revision <= after && !signal.aborted) {
        await once(changes, 'change', { signal }).catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
      }
      return current();
    },
    flush: () => writing,
  };
}
