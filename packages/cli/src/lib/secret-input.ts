/** Secrets that a person hands to a command: from a file, a pipe, or typed without echo. Never from an argument. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { AppError } from '@airlock/contract/errors';

export interface SecretSource {
  /** What is asked for, such as `Passphrase`. */
  prompt: string;
  /** Read instead, its first line. */
  file?: string | undefined;
  /** Ask twice when it is typed, because nothing shows a slip of the finger. */
  twice?: boolean;
}

const leastPassphrase = 12;

/** A passphrase for a backup. `twice`: it is a new one. @throws AppError invalid_request, also for one that is too short */
export async function readPassphrase(file: string | undefined, twice: boolean): Promise<string> {
  const passphrase = await readSecret({ prompt: 'Passphrase', file, twice });
  if (passphrase.length >= leastPassphrase) return passphrase;
  throw new AppError(
    'invalid_request',
    `The passphrase has ${passphrase.length} characters; it needs ${leastPassphrase}.`,
  );
}

/** @throws AppError invalid_request when there is none, or two typed ones differ */
export async function readSecret(source: SecretSource): Promise<string> {
  const secret = await given(source);
  if (secret !== '') return secret;
  throw new AppError('invalid_request', `${source.prompt}: nothing was given.`);
}

async function given({ prompt, file, twice }: SecretSource): Promise<string> {
  if (file !== undefined) return firstLine(await readFile(file, 'utf8'));
  if (!process.stdin.isTTY) return firstLine(await everything());
  const typed = await ask(prompt);
  if (twice === true && (await ask(`${prompt}, again`)) !== typed)
    throw new AppError('invalid_request', `${prompt}: the two are not the same.`);
  return typed;
}

/** Without the mark that editors of another system put before a text, which nobody sees. */
const firstLine = (text: string): string => text.replace(/^\uFEFF/, '').split(/\r?\n/, 1)[0] ?? '';

async function everything(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
  return text;
}

/** One line from the terminal, which shows nothing of it. */
async function ask(prompt: string): Promise<string> {
  process.stderr.write(`${prompt}: `);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('SIGINT', () => reject(new AppError('aborted', 'Cancelled.')));
      lines.once('close', () => resolve(''));
    });
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
