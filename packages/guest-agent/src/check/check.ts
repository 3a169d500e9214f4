/** The named checks: a fixed command each, run as the desktop user in the environment that a CLI gets. */
import { proofName, type CheckName, type CheckResult, type ProofName } from '@airlock/contract/guest';
import { providers } from '@airlock/contract/provider/registry';
import type { Variables } from '../environment.js';
import { redactedTail } from '../redact.js';
import type { Processes, UserIds } from '../processes.js';
import { isolationAttempts, probeIsolation } from './isolation.js';

export interface CheckDeps {
  home: string;
  user: UserIds;
  variables: () => Variables;
  processes: Processes;
}

interface Command {
  argv: readonly [string, ...string[]];
  timeoutMs: number;
  env?: Variables;
  accepts(exitCode: number, output: string): boolean;
}

const ended = (exitCode: number): boolean => exitCode === 0;
const statusCode = (output: string): number => Number(/(\d{3})\s*$/.exec(output)?.[1] ?? 0);

/** Any answer of the site itself: 5xx may be the gateway's, 000 is none. */
function isSiteAnswer(exitCode: number, output: string): boolean {
  return exitCode === 0 && statusCode(output) >= 200 && statusCode(output) < 500;
}

const curl: Command['argv'] = ['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', 'https://claude.ai'];

/** Time limits are for software emulation, where a CLI takes half a minute to say its version. */
const fixed: Readonly<Record<Exclude<CheckName, 'isolation' | ProofName>, Command>> = {
  node: {
    argv: ['node', '--version'],
    timeoutMs: 60_000,
    accepts: (code, output) => ended(code) && output.startsWith('v20.'),
  },
  codex: { argv: ['codex', '--version'], timeoutMs: 90_000, accepts: ended },
  claude: { argv: ['claude', '--version'], timeoutMs: 90_000, accepts: ended },
  // Without this variable gemini starts itself a second time, which doubles a very slow start.
  gemini: {
    argv: ['gemini', '--version'],
    timeoutMs: 180_000,
    env: { GEMINI_CLI_NO_RELAUNCH: 'true' },
    accepts: ended,
  },
  fetch: { argv: curl, timeoutMs: 60_000, accepts: isSiteAnswer },
};

/** What each provider's CLI says of its login. */
const proofs = Object.values(providers).flatMap(({ id, login }) =>
  login ? [[proofName(id), { ...login.proof, timeoutMs: 120_000 }] as const] : [],
);
const commands = new Map<string, Command>([...Object.entries(fixed), ...proofs]);

const isolationTimeoutMs = 3000;
const outputLimit = 4096;

interface Verdict {
  ok: boolean;
  exitCode: number | null;
  output: string;
}

async function runCommand(name: CheckName, command: Command, deps: CheckDeps): Promise<Verdict> {
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

/** Runs one check to its end. A check that fails is a result, not an error. */
export async function runCheck(name: CheckName, deps: CheckDeps): Promise<CheckResult> {
  const startedAt = performance.now();
  const command = commands.get(name);
  let verdict: Verdict;
  if (command) verdict = await runCommand(name, command, deps);
  else if (name === 'isolation')
    verdict = { exitCode: null, ...(await probeIsolation(isolationAttempts, isolationTimeoutMs)) };
  else verdict = { ok: false, exitCode: null, output: `${name}: this agent has no such check.` };
  return { name, ...verdict, durationMs: Math.round(performance.now() - startedAt) };
}
