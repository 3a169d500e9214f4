/** The start of a runner process, as every engine on this host does it: secrets by standard input, little environment. */
import { spawn, type ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { plainEnvironment } from './environment.js';
import { atLowWeight } from './low-weight.js';
import { runnerFiles, type RunnerSecrets } from './runner.js';

export interface SpawnRunnerOptions {
  /** The runner's main file. */
  program: string;
  /** Absolute; holds its spec.json. */
  folder: string;
  secrets: RunnerSecrets;
  /** Lives on when this process ends; otherwise it dies with it, however that ends. */
  outlives: boolean;
  /** Others on the host come first, before the runner and all that it starts. */
  low: boolean;
}

/** Of a runner at low weight. */
const lowNiceness = 10;

export interface SpawnedRunner {
  child: ChildProcess;
  /** How it ended, or why it could not even be started, in words that follow its name. Never rejects. */
  exited: Promise<string>;
}

/**
 * Starts the runner; the caller waits until it answers. It logs to runner.log by itself, within bounds; what the runtime says
 * when it cannot even begin goes there too.
 */
export async function spawnRunner(options: SpawnRunnerOptions): Promise<SpawnedRunner> {
  const { program, folder, secrets, outlives, low } = options;
  const bound = outlives ? [] : ['setpriv', '--pdeathsig=KILL', '--'];
  // Whatever stands before them, these are its last words: by them it is found.
  const runner = [...bound, process.execPath, program, folder];
  const [file = '', ...args] = low ? atLowWeight(lowNiceness, runner) : runner;
  const log = await open(join(folder, runnerFiles.runnerLog), 'a', 0o600);
  try {
    const child = spawn(file, args, {
      detached: outlives,
      cwd: folder,
      env: plainEnvironment(),
      stdio: ['pipe', log.fd, log.fd],
    });
    const exited = endOf(child);
    // A runner that has ended already is noticed by its exit, which says more than a broken pipe.
    child.stdin?.on('error', () => child.stdin?.destroy());
    child.stdin?.end(JSON.stringify(secrets));
    return { child, exited };
  } finally {
    await log.close();
  }
}

/** Heard from the first moment: a program that cannot be spawned says so at the next tick, and nobody hearing it ends this process. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(`ended (${String(code ?? signal)})`));
    child.on('error', ({ message }) => resolve(`could not be started: ${message}`));
  });
}
