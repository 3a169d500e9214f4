/** `airlock user disable|enable|remove|rotate-token|sign-ins|sign-out`: taking back what was given. */
import type { Command } from 'commander';
import { ListedUser } from '@airlock/contract/api';
import { homePaths } from '@airlock/contract/home';
import { readSettings } from '@airlock/contract/settings';
import { RotateTokenResponse, SignInList, SignOutResponse } from '@airlock/contract/sign-ins';
import { withApi, type Api } from '../lib/api.js';
import { confirm } from '../lib/confirm.js';
import { note, print, printJson, table } from '../lib/output.js';
import { userNamed } from './named.js';

interface Flags {
  json?: boolean;
}

/** The ends of VMs are waited for, in ms. */
const slowMs = 300_000;

export function addRevocation(user: Command): void {
  const add = (usage: string, description: string, example: string): Command =>
    user
      .command(usage)
      .description(description)
      .option('--json', 'print JSON')
      .addHelpText('after', `\nExample:\n  airlock user ${example}`);
  add(
    'disable <name>',
    'Keep a user out: token, sign-ins, links and connections end at once, sign-ins at providers are cancelled, VMs stopped. Nothing is removed.',
    'disable ada',
  ).action((name: string, flags: Flags) => change(name, 'disable', flags));
  add('enable <name>', 'Let a disabled user in again, by the token of before.', 'enable ada').action(
    (name: string, flags: Flags) => change(name, 'enable', flags),
  );
  add(
    'remove <name>',
    'Disable a user, then remove their credentials, their VMs with the homes, and the user. Asks first.',
    'remove ada --yes',
  )
    .option('--yes', 'do not ask')
    .action(remove);
  add(
    'rotate-token <name>',
    'Give a user another API token, which is shown this once; the old one is dead at once. That of admin is written to its file.',
    'rotate-token admin',
  ).action(rotateToken);
  add('sign-ins <name>', 'List the browsers in which a user is signed in.', 'sign-ins ada').action(signIns);
  add(
    'sign-out <name> [sign-in]',
    'Sign a user out of every browser and end every login link, or sign out of one browser.',
    'sign-out ada',
  ).action(signOut);
}

async function change(name: string, verb: 'disable' | 'enable', { json }: Flags): Promise<void> {
  const changed = await withApi(async (api) => {
    const { id } = await userNamed(api, name);
    return api.call('POST', `/api/users/${id}/${verb}`, ListedUser, { timeoutMs: slowMs });
  });
  if (json) printJson(changed);
  else print(`${name} ${changed.state}`);
}

async function remove(name: string, { yes = false, json }: Flags & { yes?: boolean }): Promise<void> {
  const removed = await withApi(async (api) => {
    const user = await userNamed(api, name);
    if (!yes) await ask(user);
    await api.call('DELETE', `/api/users/${user.id}`, null, { timeoutMs: slowMs });
    return user;
  });
  if (json) printJson({ id: removed.id, name, state: 'removed' });
  else print(`${name} removed`);
}

/** @throws AppError as `confirm` */
const ask = ({ name, id }: ListedUser): Promise<void> =>
  confirm({
    about: `Everything of ${name} (${id}) goes for good: credentials, the CLI VM with all files of its home, records of sign-ins.`,
    question: 'Remove this user?',
    hint: `\`airlock user disable ${name}\` keeps everything; \`airlock user remove ${name} --yes\` removes without a question.`,
  });

async function rotateToken(name: string, { json }: Flags): Promise<void> {
  const [user, made] = await withApi(async (api) => {
    const found = await userNamed(api, name);
    return [found, await api.call('POST', `/api/users/${found.id}/rotate-token`, RotateTokenResponse)] as const;
  });
  if (json) {
    printJson(made);
  } else if (user.role === 'admin') {
    print(`The token of ${name} is another one now: ${homePaths(readSettings().AIRLOCK_HOME).token}`);
  } else {
    note(`The token of ${name}, shown this once; the old one is dead:`);
    print(made.token);
  }
  note(`Whoever had the old one may be signed in to the dashboard: \`airlock user sign-out ${name}\` ends that.`);
}

const signInsOf = async (api: Api, name: string): Promise<string> =>
  `/api/users/${(await userNamed(api, name)).id}/sign-ins`;

async function signIns(name: string, { json }: Flags): Promise<void> {
  const found = await withApi(async (api) => api.call('GET', await signInsOf(api, name), SignInList));
  if (json) printJson(found);
  else
    print(
      table(
        ['SIGN-IN', 'SINCE', 'LAST USED', 'UNTIL'],
        found.signIns.map(({ id, createdAt, lastUsedAt, expiresAt }) => [
          ...[id, createdAt],
          ...[lastUsedAt ?? 'never', expiresAt],
        ]),
      ),
    );
}

async function signOut(name: string, signIn: string | undefined, { json }: Flags): Promise<void> {
  const done = await withApi(async (api) => {
    const path = await signInsOf(api, name);
    if (signIn === undefined) return api.call('DELETE', path, SignOutResponse);
    await api.call('DELETE', `${path}/${encodeURIComponent(signIn)}`, null);
    return { ended: 1 };
  });
  if (json) printJson(done);
  else print(`${name}: ${done.ended} ${done.ended === 1 ? 'sign-in' : 'sign-ins'} ended`);
}
