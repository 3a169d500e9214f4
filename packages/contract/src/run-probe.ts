/** Asking the runner's program what this host can do. */
import { plainEnvironment } from './environment.js';
import { run } from './process.js';
import { HostProbe } from './runner.js';

export interface ProbeOptions {
  /** The runner's main file. */
  program: string;
  /** Keeps the slow part of the verdict until the next boot. */
  cache?: string;
  /** Milliseconds; 60 000 by default. A host that was never probed measures for seconds. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** @throws AppError command_failed, aborted */
export async function runProbe({ program, cache, timeoutMs = 60_000, signal }: ProbeOptions): Promise<HostProbe> {
  const args = [program, 'probe', ...(cache === undefined ? [] : ['--cache', cache])];
  const options = { env: plainEnvironment(), cleanEnv: true, timeoutMs, ...(signal && { signal }) };
  const { stdout } = await run(process.execPath, args, options);
  return HostProbe.parse(JSON.parse(stdout));
}
