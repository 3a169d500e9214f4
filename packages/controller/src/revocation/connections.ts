/** Requests under way, with whoever asks: events, prompts, desktops, files. A revocation ends them in their middle. */

/** How somebody has shown who they are. */
export interface Caller {
  userId: string;
  via: 'token' | 'cookie';
  /** The sign-in that a cookie belongs to. */
  signIn: string | null;
}

/** One request. */
export interface Live {
  /** It is known now who asks, and until when at most. False: that was revoked while it was being found out. */
  isFrom(caller: Caller, until?: Date): boolean;
  /** It has ended by itself. Idempotent. */
  close(): void;
}

type Which = (caller: Caller) => boolean;

export interface Connections {
  /** `end` ends it, whatever it is doing. */
  open(end: () => void): Live;
  /** Ends those whose caller is one of `which`, but not `except`. */
  end(which: Which, except?: Live): void;
}

interface Entry extends Live {
  end(): void;
  caller: Caller | undefined;
  /** What was revoked before it was known who asks. */
  revoked: Which[];
}

export function createConnections(): Connections {
  const all = new Set<Entry>();
  return {
    open(end) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const entry: Entry = {
        end,
        caller: undefined,
        revoked: [],
        isFrom(caller, until) {
          entry.caller = caller;
          if (until) timer = setTimeout(end, until.getTime() - Date.now()).unref();
          return !entry.revoked.some((which) => which(caller));
        },
        close() {
          clearTimeout(timer);
          all.delete(entry);
        },
      };
      all.add(entry);
      return entry;
    },
    end(which, except) {
      for (const entry of all) {
        if (entry === except) continue;
        if (!entry.caller) entry.revoked.push(which);
        else if (which(entry.caller)) entry.end();
      }
    },
  };
}
