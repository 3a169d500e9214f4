/** `airlock vm update --all`: every CLI VM that is behind, followed to the last one. */
import { VmList, type Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { underWay } from '@airlock/contract/vm-update';
import { withApi } from '../lib/api.js';
import { describeError, note, print, printJson } from '../lib/output.js';
import { followUpdates } from './follow-updates.js';
import { describeFailed, describeProgress, failureOf, isOver, updateCell } from './update-words.js';

/** `wait`: false by `--no-wait`. */
export interface UpdateFlags {
  now?: boolean;
  wait: boolean;
  json?: boolean;
}

/** Sets exit code 1 when one of them was not updated. @throws AppError invalid_request for --now */
export async function updateAll({ now = false, wait, json = false }: UpdateFlags): Promise<void> {
  if (now) {
    throw new AppError('invalid_request', '--now with --all would end the prompts of everybody.', {
      hint: 'Leave --now out, or update those that are not to wait one by one: `airlock vm update <vm-id> --now`.',
    });
  }
  const vms = await withApi(async (api) => {
    const { vms: asked } = await api.call('POST', '/api/vm/update', VmList);
    if (!wait || asked.length === 0) return asked;
    note(`CLI VMs to be updated, one after the other: ${asked.length}`);
    return followUpdates(asked, async () => (await api.call('GET', '/api/vm', VmList)).vms, tellOne);
  });
  const failed = wait ? vms.flatMap((vm) => withReason(vm)) : [];
  for (const { vm, why } of failed) note(`\n${describeFailed(vm)}\n${describeError(why)}`);
  if (failed.length > 0) process.exitCode = 1;
  if (json) printJson({ vms });
  else if (vms.length === 0) print('Every CLI VM has the current image.');
  else if (wait) print(`${vms.length - failed.length} of ${vms.length} updated`);
  else print(vms.map((vm) => `${vm.id} ${updateCell(vm)}`).join('\n'));
}

function withReason(vm: Vm): { vm: Vm; why: AppError }[] {
  const why = failureOf(vm);
  return why === null ? [] : [{ vm, why }];
}

/** What they do first, wait for their turn, is not said of each. */
function tellOne(vm: Vm, all: readonly Vm[]): void {
  if (underWay(vm) === 'waiting') return;
  const end = failureOf(vm) === null ? `${vm.id} has ${vm.imageId}` : describeFailed(vm);
  note(`[${all.filter(isOver).length}/${all.length}] ${isOver(vm) ? end : describeProgress(vm, false)}`);
}
