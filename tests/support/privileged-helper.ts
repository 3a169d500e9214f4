/** A privileged helper of the test's own: one connection to it, by its standard input and output. Needs root. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const helperMain = fileURLToPath(new URL('../../packages/privileged-helper/dist/main.js', import.meta.url));

/** Who relays run as. */
export const relayUser = 65534;

/** Why it cannot be tried here, or null. */
export const helperSkip = (): string | null =>
  process.getuid?.() === 0 ? null : 'network namespaces of other users can only be made by root';

export interface HelperConnection {
  pid: number;
  /** Sends a request, or any line, and waits for the answer. */
  ask(request: object | string): Promise<unknown>;
  /** Ends the connection, and waits until the helper has ended. */
  close(): Promise<number | null>;
  /** Resolves with the exit code, or null when it was killed. */
  exited: Promise<number | null>;
}

/** `run`: where it keeps what it makes. `without`: path of a program that is not to be on its host. */
export function startHelper(run: string, { without }: { without?: string } = {}): HelperConnection {
  const user = ['--uid', String(relayUser), '--gid', String(relayUser)];
  const command = [process.execPath, helperMain, 'serve', ...user, '--run', run];
  const hide = ['unshare', '--mount', 'sh', '-c', 'mount --bind /dev/null "$0" && exec "$@"'];
  const [file = '', ...args] = without === undefined ? command : [...hide, without, ...command];
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  child.stdin.on('error', () => child.stdin.destroy());
  return {
    pid: child.pid ?? 0,
    exited,
    async ask(request) {
      child.stdin.write(`${typeof request === 'string' ? request : JSON.stringify(request)}\n`);
      const { value, done } = await answers.next();
      if (done === true) throw new Error('the helper ended without an answer');
      return JSON.parse(value) as unknown;
    },
    async close() {
      child.stdin.end();
      return await exited;
    },
  };
}
