/** The benchmark: measures the parts that are asked for, one after the other, and prints one JSON document. */
import { availableParallelism, loadavg, release, totalmem } from 'node:os';
import { AppError, type ErrorBody } from '@airlock/contract/errors';
import { benchBoot } from './boot.js';
import { benchEgress } from './egress.js';
import type { Context, Figure } from './figure.js';
import { benchForms } from './forms.js';
import { benchImage } from './image.js';
import { benchTunnel } from './tunnel.js';
import { benchVmm } from './vmm.js';

const parts: Readonly<Record<string, (context: Context) => Promise<Figure[]>>> = {
  tunnel: benchTunnel,
  egress: benchEgress,
  boot: benchBoot,
  image: benchImage,
  forms: benchForms,
  vmm: benchVmm,
};

/**
 * Progress on standard error, the document on standard output. A figure that misses its goal is no failure.
 * @returns the exit code: 1 when something could not be measured; `errors` in the document says what and why.
 */
export async function runBench(wanted: readonly string[], options: Pick<Context, 'runs' | 'against'>): Promise<number> {
  const started = new Date();
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort());
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const machine = describeMachine();
  const figures: Figure[] = [];
  const errors: ({ part: string } & ErrorBody)[] = [];
  for (const part of wanted) {
    if (abort.signal.aborted) break;
    say(`── ${part}`);
    try {
      const measured = await parts[part]?.({ ...options, signal: abort.signal, say });
      if (!measured) throw new AppError('invalid_request', `There is no part ${part}.`);
      figures.push(...measured);
      measured.forEach((figure) => say(`  ${sentence(figure)}`));
    } catch (error) {
      const body = AppError.inItsWords(error).toBody();
      errors.push({ part, ...body });
      say(`  could not be measured: ${body.code}: ${body.message}`);
    }
  }
  const seconds = Math.round((Date.now() - started.getTime()) / 1000);
  const document = { version: 1, startedAt: started.toISOString(), seconds, machine, figures, errors };
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  return errors.length === 0 && !abort.signal.aborted ? 0 : 1;
}

/** `loadAverage` (1, 5, 15 minutes) before the first measurement: what else was running. */
function describeMachine() {
  const [cpus, memoryMib] = [availableParallelism(), Math.round(totalmem() / 1024 / 1024)];
  return { cpus, memoryMib, node: process.versions.node, kernel: release(), loadAverage: loadavg() };
}

function sentence({ name, unit, baseline, airlock, ratio, goal, met }: Figure): string {
  const wish = goal === null ? '' : 'atLeast' in goal ? `, goal ≥ ${goal.atLeast}` : `, goal ≤ ${goal.atMost}`;
  const verdict = met === null ? '' : met ? ': met' : ': missed';
  return `${name}: ${airlock.median} ${unit} against ${baseline.median} ${unit}, ratio ${ratio}${wish}${verdict}`;
}
