/** Who did something, as its person reads it. Pure. */
import type { User } from '@airlock/contract/api';
import type { AuditRecord } from '@airlock/contract/audit';

const ways: Readonly<Record<AuditRecord['via'], string>> = {
  cookie: ' in a browser',
  token: ' by token',
  host: ' on the host',
  system: '',
};

/** `by you in a browser`, `by admin by token`, `by Airlock`. */
export function byWhom({ actorId, actorName, via }: AuditRecord, me: Pick<User, 'id'>): string {
  if (via === 'system') return 'by Airlock';
  const who = actorId === me.id ? 'you' : actorName;
  return `by ${who}${ways[via]}`;
}
