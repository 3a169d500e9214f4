/**
 * What this host can run, measured once for all tests: what each new home would measure anew takes seconds of all processors. A probe
 * that is asked with this knows by itself when the host was started anew, or has other VMMs.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { homePaths } from '@airlock/contract/home';
import { runProbe } from '@airlock/contract/run-probe';
import type { HostProbe } from '@airlock/contract/runner';

export const runnerMain = fileURLToPath(import.meta.resolve('@airlock/runner/main'));

/** Where programs of another PATH are looked for there may be other VMMs. */
function cacheFile(): string {
  const path = createHash('sha256')
    .update(process.env['PATH'] ?? '')
    .digest('hex')
    .slice(0, 12);
  return join(runnerMain, `../../../../node_modules/.airlock-test-probes/${path}.json`);
}

const asked = new Map<string, Promise<HostProbe>>();

/** Asked once in each process. */
export function probeHost(): Promise<HostProbe> {
  const cache = cacheFile();
  const probe = asked.get(cache) ?? runProbe({ program: runnerMain, cache });
  asked.set(cache, probe);
  return probe;
}

/** Gives the home what was measured; before its first controller. */
export async function giveHostProbe(home: string): Promise<void> {
  await probeHost();
  const { hostProbe } = homePaths(home);
  await mkdir(dirname(hostProbe), { recursive: true, mode: 0o700 });
  await copyFile(cacheFile(), hostProbe);
}
