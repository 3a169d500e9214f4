/** `airlock vm update|reset`: another root under the home of a CLI VM, of one or of all; followed until it is proved or refused. */
import type { Command } from 'commander';
import { Vm, type VmUpdateKind } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { underWay } from '@airlock/contract/vm-update';
import { withApi } from '../lib/api.js';
import { note, print, printJson } from '../lib/output.js';
import { followUpdates } from './follow-updates.js';
import { updateAll, type UpdateFlags } from './update-all.js';
import { describeFailed, describeProgress, describeStart, failureOf, isOver, updateCell } from './update-words.js';

const example = 'vm_0123456789abcdef';
const goesOn =
  'Ends nothing when it is interrupted: the controller goes on, and `airlock vm list` tells how far it is.';

/** `pathOf`: the path of a VM in the API. @throws AppError invalid_request for what is no id */
export function addUpdate(vm: Command, pathOf: (id: string) => string): void {
  vm.command('update [vm-id]')
    .description('Put a CLI VM, or all of them, on the current image, and wait until its logins are tried.')
    .option('--all', 'every CLI VM that is behind, one after the other (administrators)')
    .option('--now', 'do not wait until nobody uses the VM: prompts that run in it end')
    .option('--no-wait', 'ask for it, and do not follow it')
    .option('--json', 'print the VM, or with --all the VMs, as JSON')
    .addHelpText(
      'after',
      `
The VM gets a new root: a copy of the current image. Once nobody uses the VM it starts from that, and its logins are tried; when one does
not work any more, the old root comes back. The home stays as it is; everything outside of it is lost.
${goesOn}

Example:
  airlock vm update ${example}
  airlock vm update --all`,
    )
    .action(async (id: string | undefined, { all = false, ...flags }: UpdateFlags & { all?: boolean }) => {
      if (id !== undefined && !all) await replaceRoot('update', id, { path: pathOf(id), ...flags });
      else if (id === undefined && all) await updateAll(flags);
      else throw notOne(id);
    });
  vm.command('reset <vm-id>')
    .description('Give a CLI VM a fresh root of the current image. Its home stays, all else is lost.')
    .option('--now', 'do not wait until nobody uses the VM: prompts that run in it end')
    .option('--no-wait', 'ask for it, and do not follow it')
    .option('--json', 'print the VM as JSON')
    .addHelpText(
      'after',
      `
What is lost: everything outside of the home, such as files in /var/tmp. What stays: the home, with its files and logins. When a login does
not work from the new root, the old one comes back.
${goesOn}

Example:
  airlock vm reset ${example}`,
    )
    .action((id: string, flags: UpdateFlags) => replaceRoot('reset', id, { path: pathOf(id), ...flags }));
}

const notOne = (id: string | undefined): AppError =>
  new AppError('invalid_request', id === undefined ? 'Which VM is to be updated?' : `Either ${id}, or --all.`, {
    hint: `One: \`airlock vm update ${example}\`. Every one that is behind: \`airlock vm update --all\`.`,
  });

const done = { update: 'updated', reset: 'reset' } as const satisfies Record<VmUpdateKind, string>;

async function replaceRoot(kind: VmUpdateKind, id: string, options: UpdateFlags & { path: string }): Promise<void> {
  const { path, now = false, wait, json = false } = options;
  const tell = (vm: Vm, words: string): void => (json ? printJson(vm) : print(`${id} ${words}`));
  await withApi(async (api) => {
    const asked = await api.call('POST', `${path}/${kind}`, Vm, { body: { now } });
    if (underWay(asked) === null) return tell(asked, `has the current image already: ${asked.imageId}`);
    note(describeStart(asked));
    if (!wait) return tell(asked, updateCell(asked));
    const read = async (): Promise<Vm[]> => [await api.call('GET', path, Vm)];
    const [ended = asked] = await followUpdates([asked], read, (vm) => {
      if (!isOver(vm)) note(describeProgress(vm, now));
    });
    const failure = failureOf(ended);
    if (failure === null) return tell(ended, `${done[kind]}: ${ended.imageId}`);
    note(describeFailed(ended));
    throw failure;
  });
}
