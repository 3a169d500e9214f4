/** `airlock prompt`: asks a connected CLI something, prints its answer as it comes, ends with its exit code. */
import { text as textOf } from 'node:stream/consumers';
import type { Command } from 'commander';
import { PromptEvent, type RunPromptRequest } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { endOfEvents } from '@airlock/contract/event-stream';
import { providerIds } from '@airlock/contract/provider/provider';
import { silenceMs, withApi } from '../lib/api.js';
import { describeError, inertJson, note, printPiece } from '../lib/output.js';
import { untilInterrupted } from '../lib/signals.js';

interface Flags {
  json?: boolean;
  timeout?: string;
  cwd?: string;
}

/** What a shell reports of a program that Ctrl-C ended. */
const interrupted = 130;

export function addPrompt(program: Command): void {
  program
    .command('prompt <provider> [text]')
    .description(`Ask a connected CLI (${providerIds.join(', ')}) in your CLI VM; starts the VM when it is stopped.`)
    .option('--timeout <seconds>', 'end the CLI after so many seconds')
    .option('--cwd <folder>', 'run in this folder below the home of the CLI VM')
    .option('--json', 'print every event as a line of JSON')
    .addHelpText(
      'after',
      `
Without text it is read from standard input, which is better: other programs of yours can see arguments.
Ctrl-C cancels. The exit code is that of the CLI, 1 when it did not end by itself, 130 when it was cancelled.

Example:
  airlock prompt codex < question.txt`,
    )
    .action(prompt);
}

async function prompt(provider: string, argument: string | undefined, flags: Flags): Promise<void> {
  const timeoutS = flags.timeout === undefined ? undefined : secondsOf(flags.timeout);
  const text = argument ?? (await readText());
  const body: RunPromptRequest = {
    ...{ provider, prompt: text },
    ...(timeoutS !== undefined && { timeoutS }),
    ...(flags.cwd !== undefined && { cwd: flags.cwd }),
  };
  process.exitCode = await untilInterrupted((signal) => ask(body, flags.json === true, signal));
}

function secondsOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) > 0) return Number(text);
  throw new AppError('invalid_request', `--timeout is "${text}"; expected a whole number of seconds.`);
}

async function readText(): Promise<string> {
  if (process.stdin.isTTY) note('Type your prompt; Ctrl-D on a new line sends it.');
  const text = await textOf(process.stdin);
  if (text.trim() !== '') return text;
  throw new AppError('invalid_request', 'There is no prompt: neither an argument nor a text on standard input.');
}

/** Exit code. */
async function ask(body: RunPromptRequest, json: boolean, interrupt: AbortSignal): Promise<number> {
  const closed = new AbortController();
  const onClosed = (): void => closed.abort();
  // Whoever reads the answer, such as `head`, has had enough.
  process.stdout.once('error', onClosed);
  const signal = AbortSignal.any([interrupt, closed.signal]);
  try {
    return await withApi(async (api) => {
      let exitCode: number | null = null;
      const options = { body, signal, timeoutMs: silenceMs };
      for await (const { data } of await api.events('POST', '/api/vm/me/cli/prompt', options)) {
        if (data === endOfEvents) break;
        const event = PromptEvent.parse(JSON.parse(data));
        await show(event, json, signal);
        if ('exitCode' in event) exitCode = event.exitCode;
      }
      return exitCode ?? 1;
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    return interrupted;
  } finally {
    process.stdout.off('error', onClosed);
  }
}

async function show(event: PromptEvent, json: boolean, signal: AbortSignal): Promise<void> {
  if (json) await printPiece(`${inertJson(event)}\n`, signal);
  else if ('chunk' in event) await printPiece(event.chunk, signal);
  else if ('status' in event) note(event.status);
  else if ('error' in event) note(describeError(AppError.fromBody(event.error)));
}
