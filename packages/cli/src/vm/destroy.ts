/** `airlock vm destroy`: ends a VM; asks first where a home goes with it. */
import type { Command } from 'commander';
import { User, UserList, Vm } from '@airlock/contract/api';
import { z } from 'zod';
import { withApi, type Api } from '../lib/api.js';
import { confirm } from '../lib/confirm.js';
import { print } from '../lib/output.js';

interface Flags {
  yes?: boolean;
}

const Me = z.strictObject({ user: User });

/** `pathOf`: the path of a VM in the API. @throws AppError invalid_request for what is no id */
export function addDestroy(vm: Command, pathOf: (id: string) => string): void {
  vm.command('destroy <vm-id>')
    .description('Destroy a VM at once. With a CLI VM goes its home, with all files in it: asks first.')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
To keep the home and replace everything else, use \`airlock vm reset\`.

Example:
  airlock vm destroy vm_0123456789abcdef --yes`,
    )
    .action(async (id: string, { yes = false }: Flags) => {
      const path = pathOf(id);
      await withApi(async (api) => {
        if (!yes) await ask(api, await api.call('GET', path, Vm));
        await api.call('DELETE', path, null, { timeoutMs: 120_000 });
      });
      print(`${id} destroyed`);
    });
}

/** Of these nothing is left to lose. */
const over: readonly Vm['state'][] = ['failed', 'destroying', 'destroyed'];

/** Resolves when the VM may go. @throws AppError as `confirm` */
async function ask(api: Api, { id, kind, state, userId }: Vm): Promise<void> {
  if (kind !== 'cli' || over.includes(state)) return;
  await confirm({
    about: `${id} is the CLI VM of ${await ownerOf(api, userId)}. Its home, with all files in it, is removed for good.`,
    question: 'Destroy it?',
    hint: `\`airlock vm reset ${id}\` keeps the home; \`airlock vm destroy ${id} --yes\` destroys it without a question.`,
  });
}

/** The user's name; only administrators are shown VMs of others. */
async function ownerOf(api: Api, userId: string | null): Promise<string> {
  if (userId === null) return 'nobody';
  const { user } = await api.call('GET', '/api/me', Me);
  if (user.id === userId) return user.name;
  const { users } = await api.call('GET', '/api/users', UserList);
  return users.find(({ id }) => id === userId)?.name ?? userId;
}
