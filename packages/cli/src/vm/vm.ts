/** `airlock vm …`: list, show, read the logs of, stop, start, update, back up, destroy VMs. */
import type { Command } from 'commander';
import { Vm, VmList } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { VmId } from '@airlock/contract/ids';
import { readSettings } from '@airlock/contract/settings';
import { withApi } from '../lib/api.js';
import { print, printJson, table } from '../lib/output.js';
import { addBackup } from './backup.js';
import { addDestroy } from './destroy.js';
import { readLogs } from './logs.js';
import { addPower } from './power.js';
import { addUpdate } from './update.js';
import { updateCell } from './update-words.js';

interface Flags {
  json?: boolean;
}

export function addVm(program: Command): void {
  const vm = program.command('vm').description('List, show, stop, start, update, back up and destroy VMs.');
  vm.command('list')
    .description('List VMs.')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nUPDATE says of a CLI VM that it is behind the current image, or how far its update is.\n\nExample:\n  airlock vm list',
    )
    .action(async ({ json }: Flags) => {
      const { vms } = await withApi((api) => api.call('GET', '/api/vm', VmList));
      if (json) printJson({ vms });
      else print(table(['VM', 'KIND', 'STATE', 'UPDATE', 'ACCEL', 'CREATED', 'DESTROY AT'], vms.map(vmRow)));
    });
  vm.command('show <vm-id>')
    .description('Show one VM.')
    .option('--json', 'print JSON (the default)')
    .addHelpText('after', '\nExample:\n  airlock vm show vm_0123456789abcdef')
    .action(async (id: string) => {
      const path = vmPath(id);
      printJson(await withApi((api) => api.call('GET', path, Vm)));
    });
  vm.command('logs <vm-id>')
    .description('Show the last lines of every log in the folder of a VM; needs no controller.')
    .option('--lines <n>', 'lines of each log', '40')
    .addHelpText('after', '\nExample:\n  airlock vm logs vm_0123456789abcdef --lines 100')
    .action(async (id: string, { lines }: { lines: string }) => {
      const logs = await readLogs(readSettings().AIRLOCK_HOME, parseVmId(id), parseLines(lines));
      print(logs.map(({ name, text }) => `==> ${name} <==\n${text}`).join('\n\n'));
    });
  addPower(vm, vmPath);
  addUpdate(vm, vmPath);
  addBackup(vm, vmPath);
  addDestroy(vm, vmPath);
}

const vmPath = (id: string): string => `/api/vm/${parseVmId(id)}`;

const vmRow = (vm: Vm): string[] => [
  ...[vm.id, vm.kind, vm.state, updateCell(vm)],
  ...[vm.accel, vm.createdAt, vm.destroyAt ?? 'never'],
];

function parseVmId(text: string): string {
  const parsed = VmId.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new AppError(
    'invalid_request',
    `"${text}" is not the id of a VM; expected something like vm_0123456789abcdef.`,
    {
      hint: '`airlock vm list` shows them.',
    },
  );
}

function parseLines(text: string): number {
  const lines = Number(text);
  if (Number.isInteger(lines) && lines > 0) return lines;
  throw new AppError('invalid_request', `--lines ${text}: expected a whole number from 1 up.`);
}
