/** `airlock doctor`: what was detected on this host, what was chosen and why, what to do about each problem. */
import type { Command } from 'commander';
import { readSettings, type Settings } from '@airlock/contract/settings';
import { print, printJson } from '../lib/output.js';
import { gatherFacts } from './facts.js';
import { choose, judge, type Finding } from './findings.js';
import { describeWays, isWay, tryWays } from './network.js';

const marks: Record<Finding['status'], string> = { ok: 'ok    ', note: 'note  ', blocks: 'BLOCKS' };

/** Findings as a person reads them. */
export function describeFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ about }) => about.length));
  const indent = ' '.repeat(width + 10);
  return findings
    .map(({ about, status, found, todo }) => {
      const line = `${marks[status]}  ${about.padEnd(width)}  ${found}`;
      return todo ? `${line}\n${indent}→ ${todo}` : line;
    })
    .join('\n');
}

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'Look at this host: what was detected, what was chosen and why, what to do. Exit code 1 when something blocks.',
    )
    .option('--network', 'instead of the host, try the way out of each user’s VMs: every host of every provider')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock doctor\n  airlock doctor --network')
    .action(async ({ json, network }: { json?: boolean; network?: boolean }) => {
      const settings = readSettings();
      if (network) return doctorNetwork(settings, json ?? false);
      const facts = await gatherFacts(settings);
      const findings = judge(facts, settings);
      const chosen = choose(facts, settings);
      const ready = findings.every(({ status }) => status !== 'blocks');
      if (json) printJson({ ready, chosen, findings, facts });
      else {
        print(describeFindings(findings));
        print(`\nChosen: ${chosen.accel} (${chosen.accelReason}); ${chosen.vmsThatFit} VMs fit into memory now.`);
        print(
          ready ? 'Airlock can run on this host.' : 'Airlock cannot run before the lines marked BLOCKS are solved.',
        );
      }
      if (!ready) process.exitCode = 1;
    });
}

async function doctorNetwork(settings: Settings, json: boolean): Promise<void> {
  const ways = await tryWays(settings);
  const ready = ways.every(isWay);
  if (json) printJson({ ready, ways });
  else print(describeWays(ways));
  if (!ready) process.exitCode = 1;
}
