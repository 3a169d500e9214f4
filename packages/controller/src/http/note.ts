/** Acts of callers, for the audit: written before they are done, so that nothing is done unseen. */
import type { FastifyRequest } from 'fastify';
import type { AuditEntry } from '../audit/audit.js';
import type { VmRow } from '../vm/vm.js';
import type { HttpDeps } from './deps.js';
import { actorOf } from './identity.js';

type Noting = Pick<HttpDeps, 'audit'>;

export const note = ({ audit }: Noting, request: FastifyRequest, entry: Omit<AuditEntry, 'actor'>): Promise<void> =>
  audit.note({ actor: actorOf(request), ...entry });

/** The same, of a VM. */
export const noteVm = (
  deps: Noting,
  request: FastifyRequest,
  { id, userId }: Pick<VmRow, 'id' | 'userId'>,
  act: Pick<AuditEntry, 'action' | 'details'>,
): Promise<void> => note(deps, request, { ...act, userId, subject: id });
