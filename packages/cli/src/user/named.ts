/** Users by the name that people call them by. */
import { UserList, type ListedUser } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import type { Api } from '../lib/api.js';

/** @throws AppError not_found */
export async function userNamed(api: Api, name: string): Promise<ListedUser> {
  const { users } = await api.call('GET', '/api/users', UserList);
  const user = users.find((one) => one.name === name);
  if (user) return user;
  throw new AppError('not_found', `There is no user named ${name}.`, { hint: '`airlock user list` shows them.' });
}
