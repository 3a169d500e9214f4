/** Reads the guest's serial console as it comes, for signs that its system cannot boot. Pure. */

/** Each sign and what it means, in words for a person. */
const signs: readonly [RegExp, string][] = [
  [/Kernel panic - not syncing: .*(?:Unable to mount root|VFS)/, 'its kernel cannot mount the root file system'],
  [/Kernel panic - not syncing: .*Attempted to kill init/, 'its first process ended'],
  [/Kernel panic - not syncing/, 'its kernel panicked'],
  [/[Oo]ut of memory: Killed process|Failed with result 'oom-kill'/, 'it has too little memory'],
  [/ALERT!\s+.*does not exist/, 'it does not find its root file system'],
  [/Gave up waiting for root/, 'it does not find its root file system'],
  [/mount: .*airlock-root.*failed|mounting .* on \/root failed/, 'its root file system cannot be mounted'],
  [/Target filesystem doesn't have|No init found/, 'its root file system holds no init program'],
  [/unexpected inconsistency|UNEXPECTED INCONSISTENCY/, 'its root file system is damaged'],
  [/Dropping to a shell|^\(initramfs\)/m, 'its initramfs gave up'],
  [/Rebooting automatically due to panic/, 'its initramfs gave up'],
  [/You are in (?:emergency|rescue) mode/, 'systemd went into emergency mode'],
  [/systemd\[1\]: Freezing execution/, 'systemd stopped'],
];

/** What a piece of console output says about a failed boot; null when it says nothing. */
export function findBootFailure(text: string): string | null {
  return signs.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

/** Watches a stream of console output; `onFailure` is called once, with the meaning of the first sign. */
export function createSerialWatch(onFailure: (meaning: string) => void): (chunk: Buffer) => void {
  let rest = '';
  let found = false;
  return (chunk) => {
    if (found) return;
    // Output comes in pieces, often single bytes: only whole lines are judged, so that all of a line is in the log by then.
    rest = (rest + chunk.toString('latin1')).slice(-8192);
    const end = rest.lastIndexOf('\n') + 1;
    const meaning = findBootFailure(rest.slice(0, end));
    rest = rest.slice(end);
    if (meaning !== null) {
      found = true;
      onFailure(meaning);
    }
  };
}
