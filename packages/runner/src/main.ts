#!/usr/bin/env node
/**
 * `airlock-runner <vm folder>`: owns one VM from power-on to its end. `airlock-runner probe`: what this host can do.
 * `airlock-runner network`: what the ways out of VMs are worth.
 * Exit codes: 0 stopped as asked, 1 the VM failed, 2 wrong usage or specification, 3 the claim was refused.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { pino, type Logger } from 'pino';
import { AppError, onFault } from '@airlock/contract/errors';
import { NetworkTrial } from '@airlock/contract/network-trial';
import { runnerFiles } from '@airlock/contract/runner';
import { tryNetwork } from './egress/trial.js';
import { openBoundedLog } from './lib/bounded-log.js';
import { createStopSwitch } from './lib/stop.js';
import { runVm } from './run.js';
import { probeHost } from './vmm/probe.js';

const usage = `Usage: airlock-runner <vm folder>
       airlock-runner probe [--cache FILE]
       airlock-runner network

The first form runs the VM that <vm folder>/spec.json describes, with RunnerSecrets as JSON on standard input, until it
is stopped (POST /stop on <vm folder>/r.sock, or SIGTERM), and logs to <vm folder>/runner.log.
The second prints, as JSON, whether KVM is usable and which VMMs there are; --cache keeps the slow part until the next boot.
The third reads a NetworkTrial as JSON from standard input, tries these ways out, and prints what it found as JSON.

  --help   shows this text
`;

const signalGraceMs = 10_000;
const exitCodes = { stopped: 0, failed: 1, usage: 2, claimRefused: 3 } as const;

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { help: { type: 'boolean' }, cache: { type: 'string' } },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.stopped;
  }
  const [first] = positionals;
  if (first === undefined || positionals.length !== 1 || (first !== 'probe' && values.cache !== undefined)) {
    process.stderr.write(usage);
    return exitCodes.usage;
  }
  if (first !== 'probe' && first !== 'network') return await runFolder(resolve(first));
  const found = first === 'probe' ? probeHost(values.cache ?? null) : readStdin().then(tryWays);
  process.stdout.write(`${JSON.stringify(await found, null, 2)}\n`);
  return exitCodes.stopped;
}

const tryWays = (text: string): ReturnType<typeof tryNetwork> => tryNetwork(NetworkTrial.parse(JSON.parse(text)));

async function runFolder(folder: string): Promise<number> {
  process.umask(0o077);
  const file = await openBoundedLog(join(folder, runnerFiles.runnerLog), complain, { append: true });
  try {
    return await runLogged(folder, pino({}, { write: (line) => file.write(Buffer.from(line)) }));
  } finally {
    await file.close();
  }
}

const complain = (error: unknown): void =>
  void process.stderr.write(`The log cannot be written: ${AppError.inItsWords(error).message}\n`);

async function runLogged(folder: string, log: Logger): Promise<number> {
  onFault((fault, error) => log.error({ err: error, fault }, 'an unexpected fault'));
  const stop = createStopSwitch();
  const trouble = new AbortController();
  process.on('SIGTERM', () => stop.request(signalGraceMs));
  process.on('SIGINT', () => stop.request(signalGraceMs));
  // The controller that started this process may end at any time; its VM goes on.
  process.on('SIGHUP', () => log.info('the terminal or session is gone'));
  process.on('uncaughtException', (error) => {
    log.error({ err: error }, 'unexpected fault');
    trouble.abort(AppError.from(error));
  });
  try {
    const stopped = await runVm({ folder, secretsText: await readStdin(), stop, trouble, log });
    return stopped ? exitCodes.stopped : exitCodes.failed;
  } catch (error) {
    const problem = AppError.from(error);
    log.error({ code: problem.code, hint: problem.hint }, problem.message);
    return problem.code === 'runner_claim_refused' ? exitCodes.claimRefused : exitCodes.usage;
  }
}

async function readStdin(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
  return text;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const { message, hint } = AppError.inItsWords(error);
  process.stderr.write(`${[message, hint].filter(Boolean).join('\n')}\n`);
  process.exit(exitCodes.usage);
}
