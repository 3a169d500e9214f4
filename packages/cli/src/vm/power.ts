/** `airlock vm stop|start|restart`: a CLI VM sleeps and wakes by hand; followed until it is as it should be. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { underWay } from '@airlock/contract/vm-update';
import { withApi, type Api } from '../lib/api.js';
import { note, print, printJson } from '../lib/output.js';
import { describeProgress } from './update-words.js';

interface Flags {
  json?: boolean;
}

const pollMs = 1000;
/** Milliseconds for a guest to shut down, a last look at its logins before that, and a start that waits for both. */
const answerMs = 180_000;
const example = 'vm_0123456789abcdef';

/** `pathOf`: the path of a VM in the API. @throws AppError invalid_request for what is no id */
export function addPower(vm: Command, pathOf: (id: string) => string): void {
  vm.command('stop <vm-id>')
    .description('Power a CLI VM off; its disks stay. Prompts that run in it end.')
    .option('--json', 'print the VM as JSON')
    .addHelpText(
      'after',
      `\nIt stays off until something uses it, such as a prompt.\n\nExample:\n  airlock vm stop ${example}`,
    )
    .action(async (id: string, { json }: Flags) => {
      const path = pathOf(id);
      note(`${id} is being stopped …`);
      tell(await withApi((api) => api.call('POST', `${path}/stop`, Vm, { timeoutMs: answerMs })), json);
    });
  vm.command('start <vm-id>')
    .description('Start a CLI VM that stands still, and wait until it is ready.')
    .option('--json', 'print the VM as JSON')
    .addHelpText(
      'after',
      `\nA use, such as a prompt, starts it by itself; nobody using it stops it.\n\nExample:\n  airlock vm start ${example}`,
    )
    .action(async (id: string, { json }: Flags) => {
      const path = pathOf(id);
      tell(await withApi((api) => bringUp(api, path, 'start')), json);
    });
  vm.command('restart <vm-id>')
    .description('Stop a CLI VM, start it again, and wait until it is ready. Prompts that run in it end.')
    .option('--json', 'print the VM as JSON')
    .addHelpText('after', `\nExample:\n  airlock vm restart ${example}`)
    .action(async (id: string, { json }: Flags) => {
      const path = pathOf(id);
      note(`${id} is being stopped …`);
      tell(await withApi((api) => bringUp(api, path, 'restart')), json);
    });
}

function tell(vm: Vm, json = false): void {
  if (json) printJson(vm);
  else print(`${vm.id} ${vm.state}`);
}

const coming: readonly Vm['state'][] = ['creating', 'starting'];

/** Resolves when the VM is ready. @throws AppError why it may not start, or what its start ended with */
async function bringUp(api: Api, path: string, verb: 'start' | 'restart'): Promise<Vm> {
  let vm = await api.call('POST', `${path}/${verb}`, Vm, { timeoutMs: answerMs });
  let said = '';
  // A VM of an older version gets a root of its own first, and stands still meanwhile.
  while (coming.includes(vm.state) || (vm.state === 'stopped' && underWay(vm) !== null)) {
    const words = describeProgress(vm, true) || `${vm.id} is ${vm.state} …`;
    if (words !== said) note(words);
    said = words;
    await pause(pollMs);
    vm = await api.call('GET', path, Vm);
  }
  if (vm.state === 'running') return vm;
  if (vm.error) throw AppError.fromBody(vm.error);
  throw new AppError('vm_not_running', `${vm.id} is ${vm.state}: somebody has stopped it again while it started.`);
}
