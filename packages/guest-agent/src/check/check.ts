/**
 * The named checks: a fixed command each, run as the desktop user in the environment that a CLI gets. The proof of a login is also put to
 * the vendor, where its CLI asks nobody and the answer costs nothing.
 */
import { currentCheckName, proofName, versionName, type CheckName, type CheckResult } from '@airlock/contract/guest';
import type { Provider } from '@airlock/contract/provider/provider';
import { providers, trialHosts } from '@airlock/contract/provider/registry';
import { runCommand, type CheckDeps, type Command, type Verdict } from './command.js';
import type { CredentialStore } from '../credential/store.js';
import { probeInternet } from './internet.js';
import { isolationAttempts, probeIsolation } from './isolation.js';
import { refusalOfVendor } from './vendor.js';

export interface ProofDeps extends CheckDeps {
  credentials: Pick<CredentialStore, 'inspect'>;
}

const ended = (exitCode: number): boolean => exitCode === 0;

/** Time limits are for software emulation, where a CLI takes half a minute to say its version. */
const node: Command = {
  argv: ['node', '--version'],
  timeoutMs: 60_000,
  accepts: (code, output) => ended(code) && output.startsWith('v20.'),
};

/** What a provider's CLI says of its version and of its login. */
function commandsOf({ id, version, login }: Provider): [string, Command][] {
  return [
    [versionName(id), { timeoutMs: 90_000, ...version, accepts: ended }],
    ...(login ? [[proofName(id), { timeoutMs: 120_000, ...login.proof }] satisfies [string, Command]] : []),
  ];
}
const commands = new Map<string, Command>([['node', node], ...Object.values(providers).flatMap(commandsOf)]);

const proven = new Map<string, Provider>(
  Object.values(providers).map((provider) => [proofName(provider.id), provider]),
);

/** What its vendor says of a login that the CLI takes. */
async function asVendorSays(said: Verdict, { id, login }: Provider, deps: ProofDeps): Promise<Verdict> {
  if (!said.ok || !login?.question) return said;
  const { verdict, files } = await deps.credentials.inspect(id);
  const question = verdict.complete ? login.question(files, Date.now()) : null;
  const refusal = question && (await refusalOfVendor(question, deps));
  return refusal === null ? said : { ...said, ok: false, output: `${said.output}\n${refusal}` };
}

const isolationTimeoutMs = 3000;
async function verdictOf(name: CheckName, deps: ProofDeps): Promise<Verdict> {
  const command = commands.get(name);
  const said = command && (await runCommand(name, command, deps));
  const provider = proven.get(name);
  if (said) return provider ? asVendorSays(said, provider, deps) : said;
  if (name === 'fetch') return probeInternet(trialHosts(), deps);
  if (name === 'isolation') return { exitCode: null, ...(await probeIsolation(isolationAttempts, isolationTimeoutMs)) };
  return { ok: false, exitCode: null, output: `${name}: this agent has no such check.` };
}

/** Runs one check to its end; answers under the name by which it was asked. A check that fails is a result, not an error. */
export async function runCheck(name: CheckName, deps: ProofDeps): Promise<CheckResult> {
  const startedAt = performance.now();
  const verdict = await verdictOf(currentCheckName(name), deps);
  return { name, ...verdict, durationMs: Math.round(performance.now() - startedAt) };
}
