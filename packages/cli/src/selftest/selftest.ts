/** `airlock selftest`: the ten success criteria against the running controller, with a figure for each. */
import type { Command } from 'commander';
import { AppError } from '@airlock/contract/errors';
import { versionName, type CheckName } from '@airlock/contract/guest';
import { providerIds } from '@airlock/contract/provider/provider';
import { withApi, type Api } from '../lib/api.js';
import { note, print, printJson } from '../lib/output.js';
import { untilInterrupted } from '../lib/signals.js';
import { checkNavigation, checkSize, checkTyping, checkVisible } from './desktop-criteria.js';
import { createTestVm, untilRunning, type TestVm } from './test-vm.js';
import { criteria, testAddress, describeReport, makeReport, type Outcome, type Report } from './report.js';
import { startRfb } from './rfb.js';
import { openTunnel } from './socket.js';
import { watchVm } from './stability.js';

const bootLimitMs = 30_000;

type Note = (number: number, outcome: Outcome) => void;

export function addSelftest(program: Command): void {
  program
    .command('selftest')
    .description('Run the ten success criteria against the running controller; exit code 1 when any fails.')
    .option('--minutes <n>', 'how long the VM is watched; the criterion itself says 30', '30')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock selftest --minutes 3')
    .action(async ({ minutes, json }: { minutes: string; json?: boolean }) => {
      const length = parseMinutes(minutes);
      const report = await untilInterrupted((signal) => withApi((api) => selftest(api, length, signal)));
      if (json) printJson(report);
      else print(describeReport(report));
      if (report.failed > 0) process.exitCode = 1;
    });
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (minutes > 0 && minutes <= 180) return minutes;
  throw new AppError('invalid_request', `--minutes ${text}: expected a number above 0, at most 180.`);
}

async function selftest(api: Api, minutes: number, signal: AbortSignal): Promise<Report> {
  const outcomes = new Map<number, Outcome>();
  const record: Note = (number, outcome) => {
    outcomes.set(number, outcome);
    note(`${outcome.pass ? 'pass' : 'FAIL'}  ${criteria[number - 1] ?? ''}: ${outcome.figure}`);
  };
  let vm: TestVm | undefined;
  try {
    vm = await createTestVm(api, Math.min(240, Math.ceil(minutes) + 30), signal);
    note(`Test VM: ${vm.id}`);
    await tryAll({ api, vm, minutes, signal }, record);
  } catch (error) {
    if (signal.aborted) throw new AppError('aborted', 'The self-test was interrupted; its VM is destroyed.');
    const { message } = AppError.inItsWords(error);
    const reached = criteria.findIndex((_name, index) => !outcomes.has(index + 1));
    record(reached + 1, { pass: false, figure: message });
  } finally {
    await vm?.destroy();
  }
  return makeReport(outcomes, minutes);
}

interface Trial {
  api: Api;
  vm: TestVm;
  minutes: number;
  signal: AbortSignal;
}

async function tryAll({ api, vm, minutes, signal }: Trial, record: Note): Promise<void> {
  const { timings, accel } = await untilRunning(vm, signal);
  const { vncMs } = timings;
  record(1, {
    pass: vncMs !== null && vncMs < bootLimitMs,
    figure: vncMs === null ? 'VNC never answered' : `${(vncMs / 1000).toFixed(1)} s from power-on to VNC (${accel})`,
  });
  const started = performance.now();
  const tunnel = await openTunnel(api, await vm.desktopPath());
  try {
    const rfb = await startRfb(tunnel);
    record(2, checkSize(rfb, performance.now() - started));
    const health = await vm.health();
    record(3, await checkVisible(rfb, health, 'terminal'));
    record(4, await checkVisible(rfb, health, 'browser'));
    record(5, await checkTyping(rfb, signal));
    record(6, await checkNavigation(rfb, testAddress, signal));
    record(7, await runChecks(vm, ['fetch']));
    record(8, await runChecks(vm, providerIds.map(versionName)));
    const { alive, undisturbed } = await watchVm(vm, { rfb, closed: tunnel.closed }, minutes, signal);
    record(9, alive);
    record(10, undisturbed);
  } finally {
    tunnel.close();
  }
}

/** All of these must be ok; the figure is what they printed and how long they took. */
async function runChecks(vm: TestVm, names: CheckName[]): Promise<Outcome> {
  const figures: string[] = [];
  let pass = true;
  for (const name of names) {
    const { ok, output, durationMs, exitCode } = await vm.check(name);
    const words = output.trim().split('\n').at(-1)?.slice(0, 80) ?? '';
    figures.push(
      `${name}: ${ok ? words : `exit code ${String(exitCode)} ${words}`} (${(durationMs / 1000).toFixed(1)} s)`,
    );
    pass &&= ok;
  }
  return { pass, figure: figures.join('; ') };
}
