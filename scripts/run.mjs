/** Starting programs from the set-up scripts, and stopping with a sentence instead of a stack trace. */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

/** A problem that the person has to solve: message, what to do, and exit code 2. */
export class Stop extends Error {
  constructor(message, hint = '', exitCode = 2) {
    super(message);
    this.hint = hint;
    this.exitCode = exitCode;
  }

  /** Runs `main`; a Stop is printed and becomes the exit code. */
  static async guard(main) {
    try {
      await main();
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      console.error(`\n${error.message}${error.hint ? `\n${error.hint}` : ''}`);
      process.exitCode = error.exitCode;
    }
  }
}

/**
 * What a script was asked; undefined when it was asked for help, which is then printed.
 * @param {string[]} args
 * @param {{help: string, options?: import('node:util').ParseArgsConfig['options'], words?: boolean}} script words: takes others than options
 */
export function readArgs(args, { help, options = {}, words = false }) {
  try {
    const known = { ...options, help: { type: 'boolean', short: 'h' } };
    const parsed = parseArgs({ args, allowPositionals: words, options: known });
    if (!parsed.values.help) return parsed;
  } catch (error) {
    throw new Stop(error.message, `\n${help}`);
  }
  process.stdout.write(help);
  return undefined;
}

/** A step that a person has to wait for: said before, and with its time after. */
export async function timed(what, work) {
  console.log(`${what} …`);
  const started = Date.now();
  await work();
  console.log(`${what}: done in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

/** Runs to the end and collects what was printed. `code` is null when the program is not installed or was killed. */
export function capture([file, ...args], options = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk) => (stdout += chunk));
    child.stderr?.on('data', (chunk) => (stderr += chunk));
    child.on('error', (error) => resolve({ code: null, stdout, stderr: error.message }));
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/**
 * Runs with the terminal's output and gives its exit code; stops when that is none of `okCodes`.
 * @param {{input?: string, cwd?: string, env?: NodeJS.ProcessEnv, okCodes?: number[]}} options
 */
export function must([file, ...args], { input, okCodes = [0], ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'inherit', 'inherit'],
      ...options,
    });
    if (input !== undefined) child.stdin.end(input);
    child.on('error', (error) => reject(new Stop(`${file} could not be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code !== null && okCodes.includes(code)) resolve(code);
      else
        reject(
          new Stop(`\`${[file, ...args].join(' ')}\` ended with ${code ?? signal}.`, 'Its own message is above.', 1),
        );
    });
  });
}
