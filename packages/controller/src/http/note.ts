/** Acts of callers, for the audit: written with what they do (`tx`), or else before it, so that nothing is done unseen. */
import type { FastifyRequest } from 'fastify';
import type { AuditEntry } from '../audit/audit.js';
import type { Transaction } from '../store/store.js';
import type { VmRow } from '../vm/vm.js';
import type { HttpDeps } from './deps.js';
import { actorOf } from './identity.js';

type Noting = Pick<HttpDeps, 'audit'>;

export const note = (
  { audit }: Noting,
  request: FastifyRequest,
  entry: Omit<AuditEntry, 'actor'>,
  tx?: Transaction,
): Promise<void> => audit.note({ actor: actorOf(request), ...entry }, tx);

/** The same, of a VM. */
export const noteVm = (
  deps: Noting,
  request: FastifyRequest,
  { id, userId }: Pick<VmRow, 'id' | 'userId'>,
  { tx, ...act }: Pick<AuditEntry, 'action' | 'details'> & { tx?: Transaction | undefined },
): Promise<void> => note(deps, request, { ...act, userId, subject: id }, tx);
