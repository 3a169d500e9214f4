/** `airlock audit`: what was done, by whom and to whom. */
import type { Command } from 'commander';
import { AuditList, auditActions, type AuditRecord } from '@airlock/contract/audit';
import { withApi, type Api } from '../lib/api.js';
import { note, print, printJson, table } from '../lib/output.js';

interface Flags {
  user?: string;
  before?: string;
  limit: string;
  json?: boolean;
}

export function addAudit(program: Command): void {
  program
    .command('audit')
    .description('Show what was done, by whom and to whom, the newest first.')
    .option('--user <name>', 'only what concerns this user; one who was removed by id')
    .option('--before <id>', 'only what is older than the record of this id')
    .option('--limit <n>', 'so many records at most, up to 500', '50')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock audit --user ada')
    .action(show);
}

async function show({ json, ...which }: Flags): Promise<void> {
  const query = new URLSearchParams(Object.entries(which));
  const list = await withApi((api: Api) => api.call('GET', `/api/audit?${query.toString()}`, AuditList));
  if (json) {
    printJson(list);
    return;
  }
  print(table(['ID', 'WHEN', 'WHO', 'BY', 'WHAT', 'WHOM', 'FACTS'], list.records.map(cells)));
  const last = list.records.at(-1);
  if (list.more && last) note(`There is older: airlock audit --before ${last.id}`);
}

function cells({ id, at, actorName, via, action, userId, subject, details }: AuditRecord): string[] {
  const facts = Object.entries(details).map(([name, value]) => `${name}=${value}`);
  const shown = action === 'controller_started' ? [`version=${details['version'] ?? ''}`] : facts;
  return [
    String(id),
    at,
    actorName,
    via,
    auditActions[action],
    userId ?? '',
    [subject ?? '', ...shown].join(' ').trim(),
  ];
}
