/** The image builder's command line. Progress goes to stderr, results to stdout. */
import { parseArgs } from 'node:util';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { readSettings } from '@airlock/contract/settings';
import type { RunGate } from './build.js';
import { runGate } from './gate/gate.js';
import { commands, help, optionTypes, say, type Command } from './commands.js';

function parse(args: string[]): Pick<Command, 'options' | 'names'> & { name: string } {
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: optionTypes });
    const [name = '', ...names] = positionals;
    return { name, names, options: values };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('invalid_request', message, { hint: 'See `airlock image --help`.', cause });
  }
}

/** Runs one command. Ends a build cleanly on the first SIGINT or SIGTERM. */
async function main(): Promise<void> {
  const { name, names, options } = parse(process.argv.slice(2));
  if (options.help) return void process.stdout.write(help);
  const command = commands[name];
  if (!command) {
    throw new AppError('invalid_request', name ? `There is no command "${name}".` : 'A command is missing.', {
      hint: 'See `airlock image --help`.',
    });
  }
  if (names.length > command.names) {
    throw new AppError('invalid_request', `Unexpected argument "${names[command.names]}".`, {
      hint: 'See `airlock image --help`.',
    });
  }
  const { AIRLOCK_HOME: home, AIRLOCK_ACCEL: accel, AIRLOCK_HELPER_SOCKET: helperSocket } = readSettings();
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  const { hostProbe: cache, images } = homePaths(home);
  const gate: RunGate = (folder, how) => runGate(folder, { ...how, host: { cache, accel } });
  await command.run({
    home,
    imagesFolder: images.folder,
    gate,
    accel,
    helperSocket,
    names,
    options,
    signal: abort.signal,
  });
}

await main().catch((error: unknown) => {
  const { code, message, hint, details } = AppError.inItsWords(error);
  say(`${code}: ${message}`);
  if (typeof details?.lastOutput === 'string') say(details.lastOutput);
  if (hint) say(hint);
  process.exitCode = code === 'invalid_request' ? 2 : 1;
});
