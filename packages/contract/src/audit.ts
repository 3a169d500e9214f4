/** What is kept of who did what: the acts that matter for security, never a secret. */
import { z } from 'zod';
import { named } from './named.js';

/** Every act that is noted, and what it means: for people, and for docs/audit.md, which is generated from it. */
export const auditActions = {
  controller_started: 'The controller was started, with these settings; secrets are not among them.',
  user_created: 'The user was made.',
  user_disabled: 'The user was disabled.',
  user_enabled: 'The user was let in again.',
  user_removed: 'The user was removed, with credentials and VMs.',
  user_token_rotated: 'Another API token was made; the old one ended.',
  admin_token_rotated: 'Another administrator token was made; the old one ended.',
  login_link_created: 'A login link was made.',
  signed_in: 'A browser was signed in to the dashboard.',
  sign_in_refused: 'A login link was refused.',
  signed_out: 'A browser was signed out of the dashboard.',
  signed_out_everywhere: 'Every browser was signed out of the dashboard.',
  session_started: 'A sign-in at a provider was started.',
  session_ended: 'A sign-in at a provider ended.',
  desktop_opened:
    'The desktop of a sign-in was opened; or, by whoever did not look at it, pasted or typed into, copied from, resized, or its terminal read (`by`).',
  vm_created: 'A VM for checks was made.',
  vm_check_run: 'A check ran in a VM.',
  vm_looked_into: 'What the agent in a VM reports was read by an administrator who is not its owner.',
  vm_stopped: 'A VM was stopped by hand.',
  vm_started: 'A VM was started by hand.',
  vm_updated: 'Another system was asked for under the home of a CLI VM.',
  vm_destroyed: 'A VM was destroyed by hand.',
  home_backed_up: 'The home of a CLI VM was copied to a backup.',
  home_restored: 'A CLI VM was made with the home of a backup.',
  credential_stored: 'A login or an API key was stored.',
  credential_removed: 'A login or an API key was removed.',
  credential_restored: 'A login or an API key came back from a backup.',
  vault_backed_up: 'All logins and all keys of homes were copied to a backup.',
  vault_restored: 'A backup of the vault was restored.',
  vault_rotated: 'Everything sealed was sealed again under another vault key.',
} as const satisfies Record<string, string>;
export type AuditAction = keyof typeof auditActions;
export const AuditAction = z.enum(Object.keys(auditActions) as [AuditAction, ...AuditAction[]]);

/** Acts that concern everybody who is here, and that everybody may read of. */
export const concernsEverybody: readonly AuditAction[] = ['vault_backed_up', 'vault_restored', 'vault_rotated'];

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

/** `GET /api/audit`: what concerns the caller; for administrators everything, or what concerns `user`, by name or id. */
export const AuditQuery = z.strictObject({
  user: z.string().min(1).max(64).optional(),
  /** Only what is older than the record of this id. */
  before: z.coerce.number().int().positive().optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
/** The newest first. `more`: there is older. */
export const AuditList = z.strictObject({ records: z.array(AuditRecord), more: z.boolean() });
export type AuditList = z.infer<typeof AuditList>;
