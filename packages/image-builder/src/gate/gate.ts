/**
 * The boot gate: boots an image in a real VM and judges it as a person would, by what is on the screen and by typing.
 * In full it also kills every part of the desktop and waits until the screen can be used again. Leaves nothing behind.
 */
import { AppError } from '@airlock/contract/errors';
import { tail } from '@airlock/contract/process';
import { isBelow, mayChange, unexpected } from './changes.js';
import { ask, healed, tryPasteAndSize, untilUsable } from './heal.js';
import { parts, type Part } from './helper.js';
import { startGateVm, type GateHost, type GateVm } from './vm.js';

export interface GateOptions {
  signal: AbortSignal;
  /** Takes one line for each finished step. */
  note: (line: string) => void;
  /** Also kill the parts of the desktop; some four minutes under emulation instead of one. */
  full: boolean;
  /** With `full`: what is killed; by default each part, and twenty times in a row. */
  kills?: Kills;
  host?: GateHost;
}

export interface Kills {
  /** Each of these, until it has healed. */
  parts: readonly Part[];
  /** Then so many without a pause between them, of all parts in turn. */
  inARow: number;
}

const allParts = Object.keys(parts) as Part[];
const allKills: Kills = { parts: allParts, inARow: 20 };

export interface GateStep {
  name: string;
  ok: boolean;
  ms: number;
  /** What was seen, or why it failed. */
  detail: string;
}

export interface GateReport {
  passed: boolean;
  /** Milliseconds, but for `kills` (a number) and `limit_factor` (by how much limits are longer: see `referenceBootMs`). */
  figures: Record<string, number>;
  steps: GateStep[];
}

/** A killed part must be healed within this time on real hardware support, in milliseconds. */
const healLimitMs = 10_000;
/** With hardware support a desktop is ready after no more than this, in milliseconds; what takes longer is as much slower in all. */
const referenceBootMs = 7500;

/**
 * Boots the image in `imageFolder` and reports; a failed image is a report, not an error.
 * @throws AppError aborted, and what keeps this host from running any VM (vmm_missing, host_unsupported)
 */
export async function runGate(imageFolder: string, options: GateOptions): Promise<GateReport> {
  const report: GateReport = { passed: false, figures: {}, steps: [] };
  const vm = await startGateVm(imageFolder, options.signal, options.host);
  try {
    report.passed = await judge(vm, report, options);
    return report;
  } finally {
    await vm.end();
  }
}

/** All steps in order, until one fails. */
async function judge(vm: GateVm, report: GateReport, options: GateOptions): Promise<boolean> {
  const { figures } = report;
  const limitMs = (): number => healLimitMs * (figures['limit_factor'] ?? 1);
  const step = (name: string, work: () => Promise<string>): Promise<boolean> => runStep(name, work, report, options);

  const booted =
    (await step('boot', async () => bootFigures(vm, figures))) &&
    (await step('desktop and agent', async () => describeDesktop(vm))) &&
    (await step('screen and typing', async () => {
      figures['usable_ms'] = (await untilUsable(vm, limitMs(), options.signal)).ms;
      return 'browser and terminal are drawn, and what is typed appears';
    })) &&
    (await step('paste and size', async () => {
      await tryPasteAndSize(vm, options.signal);
      return 'a pasted text is taken, and the screen is as large as was asked for';
    })) &&
    // What is asked of the gate's helper is the image's own, whatever boots it.
    (options.host?.tried !== undefined ||
      (await step('time of the boot', async () => (await ask(vm, 'times', limitMs(), options.signal)).join('\n'))));
  const unchanged = (): Promise<boolean> =>
    step('nothing of the image changes', async () =>
      describeChanges(await ask(vm, 'changes', limitMs(), options.signal)),
    );
  if (options.host?.tried) return booted;
  if (!booted || !options.full) return booted && unchanged();

  const { kills = allKills } = options;
  for (const part of kills.parts) {
    const name = `heal_${part}_ms`;
    const fine = await step(`kill ${part}`, async () => {
      figures[name] = await healed(vm, part, limitMs(), options.signal);
      return `usable again after ${figures[name]} ms`;
    });
    if (!fine) return false;
  }
  const stood = await step(`${kills.inARow} kills in a row`, async () => {
    const order = Array.from({ length: kills.inARow }, (_, index) => allParts[index % allParts.length] ?? 'x11vnc');
    figures['heal_in_a_row_ms'] = await healed(vm, order, limitMs(), options.signal);
    figures['kills'] = kills.parts.length + kills.inARow;
    return `usable again ${figures['heal_in_a_row_ms']} ms after the last`;
  });
  return stood && unchanged();
}

async function runStep(
  name: string,
  work: () => Promise<string>,
  { steps }: GateReport,
  { signal, note }: GateOptions,
): Promise<boolean> {
  const startedAt = performance.now();
  const finish = (ok: boolean, detail: string): boolean => {
    const ms = Math.round(performance.now() - startedAt);
    steps.push({ name, ok, ms, detail });
    note(`${ok ? 'ok' : 'FAILED'}: ${name}: ${detail}`);
    return ok;
  };
  try {
    return finish(true, await work());
  } catch (error) {
    if (signal.aborted) throw new AppError('aborted', 'The boot gate was cancelled.', { cause: error });
    const { code, message, details } = AppError.inItsWords(error);
    const log = typeof details?.['lastLog'] === 'string' ? `\n${tail(details['lastLog'], 12)}` : '';
    return finish(false, `${code}: ${message}${log}`);
  }
}

async function bootFigures(vm: GateVm, figures: GateReport['figures']): Promise<string> {
  const { poweredOnAt, vncAt, agentAt, readyAt } = await vm.untilReady();
  for (const [name, at] of Object.entries({ vnc_ms: vncAt, agent_ms: agentAt, ready_ms: readyAt })) {
    if (at !== null && poweredOnAt !== null) figures[name] = at - poweredOnAt;
  }
  figures['limit_factor'] = Number(Math.max(1, (figures['ready_ms'] ?? 0) / referenceBootMs).toFixed(2));
  return `VNC after ${figures['vnc_ms']} ms, ready after ${figures['ready_ms']} ms (${vm.accel})`;
}

async function describeDesktop(vm: GateVm): Promise<string> {
  const { ready, desktop, error, agentVersion } = await vm.health();
  if (ready) return `agent ${agentVersion} is healthy and sees display, VNC, window manager, terminal and browser`;
  throw new AppError('guest_refused', `The agent reports ${JSON.stringify({ desktop, error })}.`);
}

/** @throws AppError guest_refused naming what was written where nothing should be. */
function describeChanges(paths: readonly string[]): string {
  const wrong = unexpected(paths);
  if (wrong.length > 0) throw new AppError('guest_refused', `The VM has changed ${wrong.join(', ')}.`);
  const counts = mayChange.map(({ path }) => `${paths.filter((one) => isBelow(one, path)).length} in ${path}`);
  return `files written: ${counts.join(', ')}`;
}
