/** Asks the person at the terminal before something is lost for good. */
import { createInterface } from 'node:readline/promises';
import { AppError } from '@airlock/contract/errors';

export interface Asking {
  /** What is lost, as a sentence. */
  about: string;
  question: string;
  /** What to do where nobody can be asked. */
  hint: string;
}

/** Where the answer comes from, and where the question goes. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream;
}

/**
 * Resolves when the answer is `y` or `yes`; everything else, and nothing, is no.
 * @throws AppError aborted for a no, invalid_request where the input is no terminal
 */
export async function confirm(
  { about, question, hint }: Asking,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<void> {
  if (input.isTTY !== true) {
    throw new AppError('invalid_request', `${about} Nobody can be asked: standard input is no terminal.`, { hint });
  }
  output.write(`${about}\n`);
  const lines = createInterface({ input, output });
  try {
    const closed = new AbortController();
    lines.once('close', () => closed.abort());
    const answer = await lines.question(`${question} [y/N] `, { signal: closed.signal }).catch(() => '');
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    lines.close();
  }
  throw new AppError('aborted', 'Nothing was done.');
}
