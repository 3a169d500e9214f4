/** A sign-in session as the API shows it: its states, its steps, and the one document that follows it. */
import { z } from 'zod';
import { ErrorBody } from './errors.js';
import { DeviceCode, DeviceUrl, LoginInput, LoginMethod } from './guest.js';
import { receivedText } from './received.js';
import { SessionId, VmId } from './ids.js';
import { ProviderId } from './provider/provider.js';
import { LoginSettings } from './provider/setting.js';
import { named } from './named.js';

/**
 * pending → vm_created → ready → awaiting_user_auth → authenticating → delivering → completed,
 * or one of failed, timeout, cancelled from any state that is not final. A login that fails, and a hand-over that fails, lead
 * back to awaiting_user_auth, with `notice`: the desktop stays, and the person may try again.
 */
export const sessionStatuses = [
  'pending',
  'vm_created',
  'ready',
  'awaiting_user_auth',
  'authenticating',
  'delivering',
  'completed',
  'failed',
  'timeout',
  'cancelled',
] as const;
export const SessionStatus = z.enum(sessionStatuses);
export type SessionStatus = z.infer<typeof SessionStatus>;

export const finalStatuses = ['completed', 'failed', 'timeout', 'cancelled'] as const satisfies SessionStatus[];
export const isFinal = (status: SessionStatus): boolean => (finalStatuses as readonly string[]).includes(status);

/** The steps of a sign-in, in the order in which a page lists them, with the words it shows. */
export const sessionSteps = {
  browser_vm: 'Start a private computer for this sign-in',
  desktop: 'Show its desktop',
  login_started: 'Start the CLI login',
  login_page: 'Open the sign-in page in the browser',
  person: 'You sign in',
  credential: 'Receive the credential',
  sealed: 'Seal it in the vault',
  cli_vm: 'Prepare your CLI VM',
  delivered: 'Hand the credential to your CLI VM',
  proved: 'Check with the CLI that it works',
} as const;
export const StepName = z.enum(Object.keys(sessionSteps) as [keyof typeof sessionSteps]);
export type StepName = keyof typeof sessionSteps;

export const SessionStep = z.strictObject({
  name: StepName,
  title: z.string(),
  status: z.enum(['waiting', 'running', 'done', 'failed', 'skipped']),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  /** One short sentence of progress, such as `booting, 12 s`; null when there is nothing to say. */
  detail: receivedText(500).nullable(),
});
export type SessionStep = z.infer<typeof SessionStep>;

/**
 * `POST /api/vm/auth/:id/fallback`: starts the login anew in the same VM, by this method. `browser` is plainly "try again". `settings`:
 * what the CLI asked for (`setting_needed`); the person need not sign in again then.
 */
export const FallbackRequest = z.strictObject({ method: LoginMethod, settings: LoginSettings.optional() });
export type FallbackRequest = z.infer<typeof FallbackRequest>;
/** `POST /api/vm/auth/:id/code`: a code, or by method callback an address, for the CLI; never stored or logged. */
export const CodeRequest = LoginInput.strict();

/** How the CLI's login in the VM goes on at present. */
export const SessionLogin = z.strictObject({
  method: LoginMethod,
  /**
   * For methods device_code and callback, once the CLI has shown them: the page to open on any device and the code to type there; no
   * code: what the page shows at its end, or the address to which it leads, is to be pasted here.
   */
  deviceCode: z.strictObject({ url: DeviceUrl, code: DeviceCode.nullable() }).nullable(),
  /** The CLI asks for what its provider's page shows at its end, or by method callback leads to. */
  takesCode: z.boolean(),
});
export type SessionLogin = z.infer<typeof SessionLogin>;

/** Sent by `GET /api/vm/auth/:id`, and whole in every `session` event of `/events`. Times are ISO 8601 in UTC. */
export const Session = z
  .strictObject({
    id: SessionId,
    /** Same value as `id`: the name that the original API used in the answer of `POST /api/vm/auth`. */
    sessionId: SessionId,
    provider: ProviderId,
    status: SessionStatus,
    /** Grows by one with each change; also the id of the server-sent event. */
    revision: z.int().nonnegative(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    /** When the present state's own clock runs out; null after the session has ended. */
    deadlineAt: z.iso.datetime().nullable(),
    /** The same while it is the person's time that runs; null otherwise. */
    expiresAt: z.iso.datetime().nullable(),
    /** As far as the person's time can be prolonged, by Extend or by using the desktop; null while it does not run. */
    expiresAtMost: z.iso.datetime().nullable(),
    /** When the browser VM is destroyed; null while that is not scheduled. */
    destroyAt: z.iso.datetime().nullable(),
    browserVmId: VmId.nullable(),
    cliVmId: VmId.nullable(),
    /** True while the desktop can be opened. */
    desktopReady: z.boolean(),
    steps: z.array(SessionStep),
    /** Null before it starts, when it has failed (then `notice` says why) and after the session has ended. */
    login: SessionLogin.nullable(),
    /** Why the newest try did not succeed, while the session goes on. */
    notice: ErrorBody.nullable(),
    /** Why the session ended without success. */
    error: ErrorBody.nullable(),
  })
  .register(named, { id: 'Session' });
export type Session = z.infer<typeof Session>;
