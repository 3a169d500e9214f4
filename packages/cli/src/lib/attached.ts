/** Starts a program on this terminal and waits for it. */
import { spawn } from 'node:child_process';
import { AppError } from '@airlock/contract/errors';

/**
 * Gives the program's exit code (128 + n when signal n ended it). Ctrl-C reaches it through the terminal; SIGTERM is passed on.
 * @throws AppError command_failed when it could not be started.
 */
export async function runAttached(file: string, args: readonly string[]): Promise<number> {
  const child = spawn(file, args, { stdio: 'inherit' });
  const pass = (): void => void child.kill('SIGTERM');
  const leaveToChild = (): void => undefined;
  process.on('SIGTERM', pass);
  process.on('SIGINT', leaveToChild);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new AppError('command_failed', `${file} could not be started: ${error.message}`, { cause: error })),
      );
      child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
    });
  } finally {
    process.off('SIGTERM', pass);
    process.off('SIGINT', leaveToChild);
  }
}
