/** What is kept of who did what: the acts that matter for security, never a secret. */
import { z } from 'zod';
import { named } from './named.js';

/** Every act that is noted. A new one is added here, with its meaning in docs/audit.md. */
export const AuditAction = z.enum([
  'user_created',
  'user_disabled',
  'user_enabled',
  'user_removed',
  'user_token_rotated',
  'admin_token_rotated',
  'login_link_created',
  'signed_in',
  'sign_in_refused',
  'signed_out',
  'signed_out_everywhere',
  'session_started',
  'session_ended',
  'desktop_opened',
  'vm_check_run',
  'vm_stopped',
  'vm_started',
  'vm_updated',
  'vm_destroyed',
  'home_backed_up',
  'home_restored',
  'credential_stored',
  'credential_removed',
  'credential_restored',
  'vault_backed_up',
  'vault_restored',
  'vault_rotated',
]);
export type AuditAction = z.infer<typeof AuditAction>;

/** How whoever did it was known: by an API token, in a browser, on the host itself; `system`: Airlock by itself. */
export const AuditVia = z.enum(['token', 'cookie', 'host', 'system']);
export type AuditVia = z.infer<typeof AuditVia>;

/** One act. Ids and names stay when those whom they name are gone. */
export const AuditRecord = z
  .strictObject({
    id: z.int().positive(),
    at: z.iso.datetime(),
    /** Who did it; null where nobody is known, as with a login that failed. */
    actorId: z.string().nullable(),
    actorName: z.string(),
    via: AuditVia,
    action: AuditAction,
    /** Whom it concerns, who may read it: the owner of what it was done to. */
    userId: z.string().nullable(),
    /** What it was done to: a VM, a session, a sign-in, a provider. */
    subject: z.string().nullable(),
    /** Facts beside, such as `{"check": "internet"}`; no secret and no text of a person or a guest. */
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  })
  .register(named, { id: 'AuditRecord' });
export type AuditRecord = z.infer<typeof AuditRecord>;
