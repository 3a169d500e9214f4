/** What was done: everybody reads what concerns them, an administrator everything. Nobody writes here. */
import { AuditList, AuditQuery } from '@airlock/contract/audit';
import type { User } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { UserId } from '@airlock/contract/ids';
import { answers } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';

export function addAuditRoutes(server: Server, { audit, users }: HttpDeps): void {
  server.get(
    '/api/audit',
    {
      schema: {
        querystring: AuditQuery,
        response: answers(200, AuditList),
        summary:
          'What was done and concerns the caller, the newest first; for administrators everything, or of one user',
        description:
          '`before`, the id of the last record that one has, gives the next page. docs/audit.md lists the acts.',
      },
    },
    async (request) => {
      const { user, before, limit } = request.query;
      const userId = await whom(userOf(request), user);
      const found = await audit.list({ userId, limit: limit + 1, ...(before !== undefined && { before }) });
      return { records: found.slice(0, limit), more: found.length > limit };
    },
  );

  /** The id of the user whose records are wanted, or null for all. @throws AppError forbidden, not_found */
  async function whom(caller: User, wanted: string | undefined): Promise<string | null> {
    if (caller.role !== 'admin') {
      if (wanted === undefined || wanted === caller.name || wanted === caller.id) return caller.id;
      throw new AppError('forbidden', 'Only administrators read what concerns others.');
    }
    if (wanted === undefined) return null;
    // Also of one who was removed.
    if (UserId.safeParse(wanted).success) return wanted;
    const user = (await users.list()).find(({ name }) => name === wanted);
    if (user) return user.id;
    throw new AppError('not_found', `There is no user named ${wanted}.`, {
      hint: 'One who was removed is found by id, which the record of the removal has.',
    });
  }
}
