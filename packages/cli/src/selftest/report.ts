/** The ten success criteria, and the table that says how they went. */
import { providers, trialHosts } from '@airlock/contract/provider/registry';
import { table } from '../lib/output.js';

/** What is opened in the VM: the first host that the agent asks, too, when it looks for the internet. */
export const testAddress = `https://${trialHosts()[0]}`;

export const criteria = [
  'VM boots in under 30 s',
  'VNC connects through the noVNC tunnel',
  'Terminal visible',
  'Browser visible',
  'Can type in the terminal',
  'Can navigate in the browser',
  `curl ${testAddress} works in the VM`,
  `${new Intl.ListFormat('en').format(Object.values(providers).map(({ program }) => program))} execute`,
  'VM stays alive',
  'No crashes or disconnects',
] as const;

export interface Outcome {
  pass: boolean;
  /** What was measured, or why it failed. */
  figure: string;
}

export interface Report {
  minutes: number;
  passed: number;
  failed: number;
  criteria: { number: number; criterion: string; pass: boolean; figure: string }[];
}

/** A criterion that was never reached counts as failed, and says so. */
export function makeReport(outcomes: ReadonlyMap<number, Outcome>, minutes: number): Report {
  const rows = criteria.map((criterion, index) => {
    const outcome = outcomes.get(index + 1) ?? { pass: false, figure: 'not reached' };
    return { number: index + 1, criterion, ...outcome };
  });
  const passed = rows.filter(({ pass }) => pass).length;
  return { minutes, passed, failed: rows.length - passed, criteria: rows };
}

export function describeReport(report: Report): string {
  const rows = report.criteria.map((row) => [
    String(row.number),
    row.criterion,
    row.pass ? 'pass' : 'FAIL',
    row.figure.replaceAll('\n', ' '),
  ]);
  return `${table(['#', 'CRITERION', 'RESULT', 'FIGURE'], rows)}\n\n${report.passed} passed, ${report.failed} failed`;
}
