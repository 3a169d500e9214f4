/** The start of a runner process, as every engine on this host does it: secrets by standard input, little environment. */
import { spawn, type ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { plainEnvironment } from './environment.js';
import { runnerFiles, type RunnerSecrets } from './runner.js';

export interface SpawnRunnerOptions {
  /** The runner's main file. */
  program: string;
  /** Absolute; holds its spec.json. */
  folder: string;
  secrets: RunnerSecrets;
  /** Lives on when this process ends; otherwise it dies with it, however that ends. */
  outlives: boolean;
}

/**
 * Starts the runner; the caller waits until it answers. It logs to runner.log by itself, within bounds; what the runtime says
 * when it cannot even begin goes there too.
 */
export async function spawnRunner({ program, folder, secrets, outlives }: SpawnRunnerOptions): Promise<ChildProcess> {
  const bound = outlives ? [] : ['setpriv', '--pdeathsig=KILL', '--'];
  const [file = '', ...args] = [...bound, process.execPath, program, folder];
  const log = await open(join(folder, runnerFiles.runnerLog), 'a', 0o600);
  try {
    const child = spawn(file, args, {
      detached: outlives,
      cwd: folder,
      env: plainEnvironment(),
      stdio: ['pipe', log.fd, log.fd],
    });
    // A runner that has ended already is noticed by its exit, which says more than a broken pipe.
    child.stdin?.on('error', () => child.stdin?.destroy());
    child.stdin?.end(JSON.stringify(secrets));
    return child;
  } finally {
    await log.close();
  }
}
