/** `airlock user …` and `login-url`: who may use Airlock. */
import type { Command } from 'commander';
import { CreateUserResponse, UserList } from '@airlock/contract/api';
import { CreateLoginTokenResponse } from '@airlock/contract/login';
import { withApi } from '../lib/api.js';
import { note, print, printJson, table } from '../lib/output.js';
import { addRevocation } from './revocation.js';

interface Flags {
  json?: boolean;
}

export function addUser(program: Command): void {
  const user = program.command('user').description('Who may use Airlock: make, list, keep out and remove users.');
  user
    .command('create <name>')
    .description('Create a user and print the API token, which is shown this once.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock user create ada')
    .action(create);
  user
    .command('list')
    .description('List users.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock user list')
    .action(list);
  addRevocation(user);
  program
    .command('login-url')
    .description('Make a one-time link that signs a browser in to the dashboard.')
    .option('--user <name>', 'for this user; by default the admin')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock login-url --user ada')
    .action(loginUrl);
}

async function create(name: string, { json }: Flags): Promise<void> {
  const created = await withApi((api) => api.call('POST', '/api/users', CreateUserResponse, { body: { name } }));
  if (json) {
    printJson(created);
    return;
  }
  note(
    `User ${created.user.name} (${created.user.id}), upstream port ${created.user.proxyPort}. The token, shown this once:`,
  );
  print(created.token);
}

async function list({ json }: Flags): Promise<void> {
  const { users } = await withApi((api) => api.call('GET', '/api/users', UserList));
  if (json) printJson({ users });
  else
    print(
      table(
        ['USER', 'NAME', 'ROLE', 'STATE', 'UPSTREAM PORT', 'CREATED'],
        users.map(({ id, name, role, state, proxyPort, createdAt }) => [
          ...[id, name, role, state],
          ...[String(proxyPort), createdAt],
        ]),
      ),
    );
}

async function loginUrl({ user, json }: Flags & { user?: string }): Promise<void> {
  const body = user === undefined ? {} : { userName: user };
  const link = await withApi((api) => api.call('POST', '/api/login-tokens', CreateLoginTokenResponse, { body }));
  if (json) printJson(link);
  else print(link.url);
}
