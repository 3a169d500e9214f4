/**
 * Runs prompts: the provider's CLI as the desktop user, its answer as frames. Each prompt is a session of its own and is
 * ended with all that it started when its caller hangs up, when its time is up and when the agent ends.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { promptLimits, type PromptFrame, type PromptRequest } from '@airlock/contract/guest';
import type { ProviderPrompt } from '@airlock/contract/provider/facts';
import type { Provider } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import { makeUserFolder } from '../credential/folder.js';
import type { CredentialStore } from '../credential/store.js';
import type { Variables } from '../environment.js';
import type { Log } from '../log.js';
import { asUser, type UserIds } from '../as-user.js';
import { redactedTail } from '../redact.js';
import { endFamily, signal, type Family } from './family.js';
import { createLines, pieces, plainText } from './text.js';

export interface PromptDeps {
  home: string;
  user: UserIds;
  /** What kind of VM this is. */
  kind: () => 'browser' | 'cli';
  variables: () => Variables;
  credentials: CredentialStore;
  log: Log;
}

/** Passes a frame on; resolves when there is room for the next. */
export type Emit = (frame: PromptFrame) => Promise<void>;
/** Runs to the end of the CLI or of `caller`. Never throws what a CLI did: that is in the frames. */
export type PromptRun = (emit: Emit, caller: AbortSignal) => Promise<void>;

export interface Prompts {
  /**
   * Takes a place for the prompt; the answer must be called, once.
   * @throws AppError forbidden, provider_unavailable, not_connected, prompts_busy
   */
  start(request: PromptRequest): Promise<PromptRun>;
  /** Ends all of them at once. */
  endAll(): Promise<void>;
}

/** Milliseconds for a CLI to end by itself when it is interrupted: it may be storing a refreshed login. */
const graceMs = 3000;
const errorTailCharacters = 4000;
const statusCharacters = 1000;

export function createPrompts(deps: PromptDeps): Prompts {
  const running = new Set<Promise<void>>();
  const ending = new AbortController();
  let taken = 0;

  async function requireCredential({ id, name }: Provider): Promise<void> {
    const verdict = await deps.credentials.inspect(id).then(
      (found) => found.verdict,
      (error: unknown) => {
        // The CLI reads what is too large here, and says itself what it cannot read; what makes it smaller may be this prompt.
        if (error instanceof AppError && error.code === 'credential_invalid') return { complete: true } as const;
        throw error;
      },
    );
    if (verdict.complete) return;
    throw new AppError('not_connected', `${name} is not signed in to in this CLI VM: ${verdict.reason}.`, {
      hint: 'Connect it on the dashboard.',
    });
  }

  function runTaken(request: PromptRequest, prompt: ProviderPrompt): PromptRun {
    return (emit, caller) => {
      const work = runPrompt({ request, prompt, deps }, emit, AbortSignal.any([caller, ending.signal])).finally(() => {
        taken -= 1;
        running.delete(work);
      });
      running.add(work);
      return work;
    };
  }

  return {
    async start(request) {
      const provider = providers[request.provider];
      if (deps.kind() !== 'cli') throw new AppError('forbidden', 'Prompts run in a CLI VM; this is a browser VM.');
      if (!provider.prompt)
        throw new AppError('provider_unavailable', `The agent cannot run prompts with ${provider.name} yet.`);
      await requireCredential(provider);
      if (taken >= promptLimits.atOnce) {
        throw new AppError('prompts_busy', `${taken} prompts are running in this CLI VM; it takes no more at a time.`, {
          hint: 'Wait until one has ended, or cancel one.',
        });
      }
      taken += 1;
      return runTaken(request, provider.prompt);
    },
    async endAll() {
      ending.abort();
      await Promise.all(running);
    },
  };
}

interface Asked {
  request: PromptRequest;
  prompt: ProviderPrompt;
  deps: PromptDeps;
}

/** One CLI from its start to its last frame. What goes wrong is in the frames. */
async function runPrompt(asked: Asked, emit: Emit, hungUp: AbortSignal): Promise<void> {
  const { request, prompt, deps } = asked;
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const stop = AbortSignal.any([hungUp, timeout]);
  let exitCode: number | null = null;
  try {
    const cwd = await makeUserFolder(deps.home, request.cwd, deps.user);
    const cli = await startCli(asked, cwd, stop);
    const told = await passOutput(cli.child, asked, emit);
    exitCode = await cli.ended;
    if (timeout.aborted) throw timedOut(request);
    if (exitCode !== 0 && !told.error) throw failed(prompt, exitCode, told.errorText);
  } catch (error) {
    await emit({ error: AppError.from(error).toBody() });
  }
  await emit({ exitCode });
  deps.log('A prompt ended.', { provider: request.provider, exitCode, cancelled: hungUp.aborted });
}

interface Cli {
  child: ChildProcessWithoutNullStreams;
  /** Exit code, or null when a signal ended it; settles when nothing that it started is left. */
  ended: Promise<number | null>;
}

/** @throws AppError command_failed when the program cannot be started; aborted */
async function startCli({ request, prompt, deps }: Asked, folder: string, stop: AbortSignal): Promise<Cli> {
  stop.throwIfAborted();
  const id = randomUUID();
  const { file, args, cwd } = asUser(prompt.argv, folder, deps.user);
  const env = { ...deps.variables(), ...prompt.env, AIRLOCK_PROMPT_ID: id };
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const exited = once(child, 'exit');
  // Nobody waits for them when the start itself fails.
  for (const end of [closed, exited]) end.catch(() => undefined);
  // A CLI that does not read its input ends the pipe; its exit code tells.
  child.stdin.on('error', () => child.stdin.destroy());
  await once(child, 'spawn').catch((error: unknown) => {
    throw new AppError('command_failed', `${prompt.argv[0]} could not be started.`, { cause: error });
  });
  const family: Family = { leader: child.pid ?? 0, mark: `AIRLOCK_PROMPT_ID=${id}` };
  child.stdin.end(request.prompt);
  const ended = endWith(family, exited, closed, stop);
  // Processes that cannot be ended may hold the pipes: reading them must not go on for ever.
  ended.catch(() => [child.stdout, child.stderr].map((pipe) => pipe.destroy()));
  return { child, ended };
}

/** Ends the family when `stop` fires, gently first, and in any case when its leader has ended. */
async function endWith(
  family: Family,
  exited: Promise<unknown[]>,
  closed: Promise<unknown[]>,
  stop: AbortSignal,
): Promise<number | null> {
  const over = new AbortController();
  const interrupt = (): void => {
    // As Ctrl-C would.
    signal(-family.leader, 'SIGINT');
    delay(graceMs, undefined, { signal: over.signal }).then(
      () => signal(-family.leader, 'SIGKILL'),
      () => undefined,
    );
  };
  if (stop.aborted) interrupt();
  else stop.addEventListener('abort', interrupt, { once: true });
  const [code] = await exited;
  stop.removeEventListener('abort', interrupt);
  over.abort();
  // What it left in the background would keep the pipes open, and must not stay.
  await endFamily(family);
  await closed;
  return code as number | null;
}

/** Reads both streams to their ends, at the pace at which frames are taken. `errorText`: the end of standard error. */
async function passOutput(
  { stdout, stderr }: ChildProcessWithoutNullStreams,
  { request, prompt }: Asked,
  emit: Emit,
): Promise<{ error: boolean; errorText: string }> {
  const told = { error: false, errorText: '' };
  async function pass(line: string): Promise<void> {
    const part = prompt.read(line);
    if (part && 'text' in part) {
      for (const chunk of pieces(plainText(part.text), promptLimits.chunk)) await emit({ chunk });
    } else if (part && 'error' in part) {
      told.error = true;
      await emit({ error: refused(part.error).toBody() });
    } else if (part && request.statuses) await emit(statusFrame(part.status));
  }
  async function passError(line: string): Promise<void> {
    const part = prompt.read(line);
    if (request.statuses && part && 'status' in part) await emit(statusFrame(part.status));
  }
  const keep = (text: string): void => {
    told.errorText = (told.errorText + text).slice(-4 * errorTailCharacters);
  };
  // Both, whatever becomes of one: no frame comes after the last one.
  const reads = await Promise.allSettled([eachLine(stdout, pass), eachLine(stderr, passError, keep)]);
  for (const read of reads) if (read.status === 'rejected') throw read.reason;
  return told;
}

async function eachLine(
  stream: Readable,
  take: (line: string) => Promise<void>,
  see?: (text: string) => void,
): Promise<void> {
  const lines = createLines();
  for await (const chunk of stream.setEncoding('utf8')) {
    const text = String(chunk);
    see?.(text);
    for (const line of lines(text)) await take(line);
  }
  for (const line of lines('')) await take(line);
}

const statusFrame = (status: string): PromptFrame => ({
  status: redactedTail(plainText(status).replaceAll('\n', ' '), 1, statusCharacters),
});

const hint = 'If the provider no longer accepts the login, connect again on the dashboard.';

const refused = (message: string): AppError =>
  new AppError('prompt_failed', redactedTail(plainText(message), 20, errorTailCharacters), { hint });

function failed({ argv }: ProviderPrompt, exitCode: number | null, errorTail: string): AppError {
  const how = exitCode === null ? 'was ended by a signal' : `ended with exit code ${exitCode}`;
  const lastOutput = redactedTail(plainText(errorTail), 20, errorTailCharacters);
  return new AppError('prompt_failed', `${argv[0]} ${how}.`, { hint, details: { lastOutput } });
}

const timedOut = ({ timeoutMs }: PromptRequest): AppError =>
  new AppError('prompt_timeout', `The CLI did not end within ${timeoutMs / 1000} s and was ended.`, {
    hint: 'Ask for less at a time, or give it more time.',
  });
