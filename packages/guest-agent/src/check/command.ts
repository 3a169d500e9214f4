/** One fixed command of a check, run as the desktop user in the environment that a CLI gets. */
import type { Variables } from '../environment.js';
import { redactedTail } from '../redact.js';
import type { UserIds } from '../as-user.js';
import type { Processes } from '../processes.js';

export interface CheckDeps {
  home: string;
  user: UserIds;
  variables: () => Variables;
  processes: Processes;
}

export interface Command {
  argv: readonly [string, ...string[]];
  timeoutMs: number;
  env?: Variables;
  accepts(exitCode: number, output: string): boolean;
}

export interface Verdict {
  ok: boolean;
  exitCode: number | null;
  output: string;
}

const outputLimit = 4096;

/** A command that fails is a verdict, not an error. */
export async function runCommand(name: string, command: Command, deps: CheckDeps): Promise<Verdict> {
  const { processes, home, user } = deps;
  const outcome = await processes.run({
    argv: command.argv,
    env: { ...deps.variables(), ...command.env },
    cwd: home,
    user,
    timeoutMs: command.timeoutMs,
  });
  const { exitCode, output, timedOut, startError } = outcome;
  const remark = timedOut
    ? `${name}: no end after ${command.timeoutMs} ms.`
    : startError && `${name}: ${command.argv[0]} could not be started (${startError.code ?? startError.message}).`;
  return {
    ok: exitCode !== null && command.accepts(exitCode, output),
    exitCode,
    output: [redactedTail(output, 60, outputLimit - 300), remark].filter(Boolean).join('\n'),
  };
}
