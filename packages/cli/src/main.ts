/** The `airlock` program: runs one command, prints an error as message, hint and code, exits 1 on failure. */
import { giveConnectsTime } from '@airlock/contract/connect-time';
import { AppError } from '@airlock/contract/errors';
import { describeError, note } from './lib/output.js';
import { createProgram } from './program.js';

giveConnectsTime();
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  const known = AppError.inItsWords(error);
  note(describeError(known));
  if (known.code === 'internal' && error instanceof Error) note(error.stack ?? '');
  process.exitCode = 1;
}
