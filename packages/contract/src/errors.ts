/**
 * The error catalogue: every code an Airlock process can report, its HTTP status and what it means.
 * Errors cross processes as `ErrorBody`; inside a process they are `AppError`.
 */
import { z } from 'zod';
import { newId } from './ids.js';
import { named } from './named.js';
import { parseReceived, plainDetails, plainText, receivedText } from './received.js';

/** Closed catalogue. Adding a code here is the only way to make one; `docs/errors.md` is generated from it. */
export const errorCatalogue = {
  invalid_request: { status: 400, meaning: 'The request does not have the expected form.' },
  unauthenticated: {
    status: 401,
    meaning: 'No valid token came with the request, nor a sign-in cookie together with its page secret.',
  },
  login_token_invalid: { status: 401, meaning: 'The one-time login link is unknown, used or expired.' },
  other_user_signed_in: {
    status: 409,
    meaning: 'The login link is for another account than the one that is signed in in this browser.',
  },
  ticket_invalid: { status: 401, meaning: 'The desktop ticket is unknown, used, expired or meant for another VM.' },
  forbidden: { status: 403, meaning: 'The signed-in user may not do this.' },
  user_disabled: { status: 403, meaning: 'The user is disabled, or is being removed.' },
  key_proof_needed: {
    status: 403,
    meaning:
      'The call hands out, or brings in, secrets of others: it needs the proof that the caller can read the vault key.',
  },
  last_admin: { status: 409, meaning: 'Without this administrator there would be none.' },
  origin_refused: { status: 403, meaning: 'The request comes from a page that this controller did not serve.' },
  egress_refused: { status: 403, meaning: 'A VM asked for an address that the egress policy refuses.' },
  egress_failed: { status: 502, meaning: 'A target that a VM asked for cannot be reached.' },
  egress_busy: { status: 503, meaning: 'A VM has as many connections through its egress gateway as it may have.' },
  method_refused: { status: 405, meaning: 'The egress gateway does not pass requests with this method on.' },
  not_found: { status: 404, meaning: 'The thing asked for does not exist, or is not visible to this user.' },
  provider_unknown: { status: 404, meaning: 'No provider has this name.' },
  request_timeout: { status: 408, meaning: 'The request did not come whole in the time that it has.' },
  payload_too_large: { status: 413, meaning: 'The request body is larger than the limit.' },
  unsupported_media_type: { status: 415, meaning: 'The request body is of a type that the call does not take.' },
  rate_limited: { status: 429, meaning: 'Too many requests in a short time.' },
  quota_exceeded: {
    status: 429,
    meaning: 'The user has as many of something as one user may have; `details.quota` says of what.',
  },
  provider_unavailable: { status: 409, meaning: 'This provider cannot be signed in to yet.' },
  not_connected: { status: 409, meaning: 'The user has no credential for this provider.' },
  prompts_busy: { status: 429, meaning: 'The CLI VM already runs as many prompts as it takes.' },
  session_busy: { status: 409, meaning: 'A sign-in for this provider is already under way.' },
  session_not_waiting: { status: 409, meaning: 'The sign-in does not wait for the person in this way now.' },
  time_limit_reached: { status: 409, meaning: 'The time for this sign-in cannot be prolonged any further.' },
  session_finished: { status: 409, meaning: 'The session has already ended.' },
  desktop_not_ready: { status: 409, meaning: 'The desktop of this VM cannot be shown yet.' },
  vm_not_running: { status: 409, meaning: 'The VM is not running.' },
  vm_not_waiting: {
    status: 409,
    meaning: 'The VM does not wait for a session: not yet, not any more, or it never did.',
  },
  vm_in_use: { status: 409, meaning: 'Something uses the CLI VM, and nobody has said that it may be ended.' },
  vm_exists: { status: 409, meaning: 'The user has a CLI VM already.' },
  login_running: { status: 409, meaning: 'A CLI login is already running in this VM.' },
  user_exists: { status: 409, meaning: 'A user with this name exists already.' },
  capacity_exhausted: { status: 503, meaning: 'This host has no memory left for another VM.' },
  shutting_down: { status: 503, meaning: 'The controller is shutting down.' },
  image_missing: {
    status: 503,
    meaning: 'No golden image is current, or what a VM boots from is not there.',
  },
  image_too_old: {
    status: 409,
    meaning:
      'The golden image comes from a version that this one does not understand any more, or whose VMs cannot do what was asked.',
  },
  image_too_new: {
    status: 409,
    meaning: 'The golden image comes from a version that is too new for this one.',
  },
  home_unusable: {
    status: 500,
    meaning:
      'The home of a CLI VM cannot be used: its disk is damaged or full, or encrypted otherwise than it should be.',
  },
  image_corrupt: { status: 500, meaning: 'A file of the golden image does not match its manifest.' },
  image_build_failed: { status: 500, meaning: 'The golden image could not be built.' },
  image_check_failed: { status: 500, meaning: 'The golden image did not pass its checks.' },
  disk_full: { status: 507, meaning: 'There is not enough disk space.' },
  vmm_missing: { status: 500, meaning: 'No VMM, or not all of what one needs, is installed.' },
  vmm_unsuitable: { status: 500, meaning: 'The VMM that is installed is of a version that Airlock cannot use.' },
  install_failed: {
    status: 500,
    meaning:
      'A program could not be installed: it cannot be fetched, or is not what it should be. Nothing of it is left.',
  },
  vmm_unavailable: { status: 500, meaning: 'The VMM that AIRLOCK_VMM asks for cannot run VMs on this host.' },
  kernel_unusable: { status: 500, meaning: 'The kernel of the image is of a form that the VMM does not boot.' },
  drive_unusable: {
    status: 500,
    meaning: 'The file behind a drive of a VM is missing, or may not be used as the VM has to.',
  },
  vmm_failed: { status: 500, meaning: 'The virtual machine monitor ended or refused to start.' },
  vm_boot_timeout: { status: 504, meaning: 'The VM did not come up in time.' },
  vm_boot_failed: { status: 500, meaning: 'The VM started but its system could not boot.' },
  vm_lost: { status: 500, meaning: 'The VM, or the process that owns it, has ended unexpectedly.' },
  runner_failed: { status: 500, meaning: 'The runner process of a VM could not be started or ended.' },
  runner_claim_refused: { status: 409, meaning: 'Another runner already owns this VM.' },
  guest_unreachable: { status: 504, meaning: 'The agent inside the VM did not answer.' },
  guest_refused: { status: 502, meaning: 'The agent inside the VM answered with an error.' },
  config_drive_invalid: { status: 500, meaning: 'The config drive of a VM holds no valid configuration.' },
  upstream_unreachable: { status: 502, meaning: 'The upstream proxy cannot be reached.' },
  upstream_auth_failed: { status: 502, meaning: 'The upstream proxy refused the user name or password.' },
  login_failed: { status: 502, meaning: 'The CLI ended its login without a credential.' },
  setting_needed: {
    status: 409,
    meaning: 'The CLI has to know something of this account before it works; `details.setting` says what.',
  },
  login_repeated: {
    status: 409,
    meaning: 'The CLI’s login ended before the person had signed in, and has begun again.',
  },
  credential_invalid: { status: 502, meaning: 'The credential that the CLI wrote is not complete.' },
  proof_failed: { status: 502, meaning: 'The CLI in the CLI VM does not accept the credential.' },
  prompt_failed: { status: 502, meaning: 'The CLI ended a prompt with an error.' },
  prompt_timeout: { status: 504, meaning: 'The CLI did not answer a prompt within its time limit.' },
  vm_create_timeout: { status: 504, meaning: 'No VM could be made for the sign-in in time.' },
  login_page_timeout: { status: 504, meaning: 'The CLI did not open its sign-in page in time.' },
  credential_timeout: { status: 504, meaning: 'The credential could not be taken over from the desktop in time.' },
  hand_over_timeout: { status: 504, meaning: 'The credential could not be handed to the CLI VM in time.' },
  sign_in_timeout: { status: 504, meaning: 'The person did not finish the sign-in in time.' },
  session_interrupted: { status: 500, meaning: 'The controller ended in the middle of the session.' },
  vault_key_invalid: { status: 500, meaning: 'The vault key is missing or does not open the sealed credential.' },
  vault_conflict: { status: 409, meaning: 'A newer generation of the credential is already stored.' },
  home_key_lost: { status: 500, meaning: 'The key of the encrypted home of a CLI VM is missing or does not open.' },
  backup_invalid: { status: 400, meaning: 'The backup is damaged or not one of Airlock, or the passphrase is wrong.' },
  store_failed: { status: 500, meaning: 'The database could not be opened or migrated.' },
  not_writable: {
    status: 500,
    meaning:
      'A folder that Airlock writes to, of the state or of the vault key, is read-only for it or belongs to somebody else.',
  },
  home_locked: { status: 409, meaning: 'Another controller already uses this AIRLOCK_HOME.' },
  controller_unreachable: { status: 502, meaning: 'No controller answers for this AIRLOCK_HOME.' },
  config_invalid: { status: 500, meaning: 'One or more settings are wrong.' },
  port_in_use: { status: 500, meaning: 'The port that the controller should listen on is taken.' },
  helper_unavailable: {
    status: 503,
    meaning: 'The privileged helper, which makes networks of VMs as root, cannot be reached or has ended.',
  },
  network_unavailable: { status: 503, meaning: 'The network namespace of a VM could not be made on this host.' },
  cgroup_unavailable: { status: 503, meaning: 'No cgroup with the limits of a VM can be made on this host.' },
  vm_ids_exhausted: { status: 503, meaning: 'Every user id that the privileged helper has for VMs is in use.' },
  vm_id_refused: {
    status: 409,
    meaning: 'The user id that a VM was given is in use, or is none that the privileged helper has for VMs.',
  },
  host_unsupported: { status: 500, meaning: 'This host lacks something that Airlock needs.' },
  command_failed: { status: 500, meaning: 'A program that Airlock started ended with an error.' },
  aborted: { status: 499, meaning: 'The operation was cancelled.' },
  internal: { status: 500, meaning: 'An unexpected fault in Airlock itself.' },
} as const satisfies Record<string, { status: number; meaning: string }>;

export type ErrorCode = keyof typeof errorCatalogue;

const errorCodes = Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]];

/** Characters of an error's texts; of its details: `plainDetails`. */
const errorText = { message: 4096, hint: 2048 } as const;

/** The error as JSON, none of it endless: what an API answers under `error`, a runner reports, a row stores. */
export const ErrorBody = z
  .strictObject({
    code: z.enum(errorCodes),
    /** What was tried, what was found, what was expected. */
    message: receivedText(errorText.message),
    /** What to do next; empty when there is nothing to add. */
    hint: receivedText(errorText.hint),
    /** Non-secret facts, such as the last lines of a VM's log. */
    details: z.record(z.string(), z.json()).overwrite(plainDetails).optional(),
  })
  .register(named, { id: 'Error' });
export type ErrorBody = z.infer<typeof ErrorBody>;

/** The error of a process that may be of another version: members that are not known are dropped, and a code reads `internal`. */
export const ReceivedError = z
  .object({ ...ErrorBody.shape, code: z.string().pipe(ErrorBody.shape.code.catch('internal')) })
  .pipe(ErrorBody);
const ReceivedErrorResponse = z.object({ error: ReceivedError });

/** What every failed HTTP call of any Airlock process answers. */
export const ErrorResponse = z.strictObject({ error: ErrorBody }).register(named, { id: 'ErrorResponse' });

export interface AppErrorOptions {
  hint?: string;
  details?: Record<string, z.infer<ReturnType<typeof z.json>>>;
  cause?: unknown;
}

/** The one error class. `message`, `hint` and `details` are shown to people and written to logs: never put a secret in. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly details: AppErrorOptions['details'];

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.hint = options.hint ?? '';
    this.details = options.details;
  }

  /** HTTP status of this error's code. */
  get status(): number {
    return errorCatalogue[this.code].status;
  }

  /** Fit for a row, whoever's words are in it. */
  toBody(): ErrorBody {
    const { code, details } = this;
    const message = plainText(this.message, errorText.message);
    const hint = plainText(this.hint, errorText.hint);
    return { code, message, hint, ...(details !== undefined && { details: plainDetails(details) }) };
  }

  /** The error a body was made from, as seen by the process that received it. */
  static fromBody(body: ErrorBody): AppError {
    return new AppError(body.code, body.message, {
      hint: body.hint,
      ...(body.details && { details: body.details }),
    });
  }

  /** The error that another process answered, in the text of its answer. @throws what is wrong with the text when there is none in it */
  static fromAnswer(text: string): AppError {
    return AppError.fromBody(ReceivedErrorResponse.parse(parseReceived(text)).error);
  }

  /**
   * `error` itself when it is an AppError; otherwise an `internal` one (or `aborted` for an AbortError) that carries it. What somebody
   * else wrote into an error is for the log alone, which gets it with the id that the message names: a query's parameters, a path, a token.
   */
  static from(error: unknown): AppError {
    if (error instanceof AppError) return error;
    if (isAbort(error)) return new AppError('aborted', 'The operation was cancelled.', { cause: error });
    const known = typeof error === 'object' && error !== null ? faults.get(error) : undefined;
    if (known) return known;
    const id = newId('flt');
    const fault = new AppError('internal', `An unexpected fault occurred (${id}).`, {
      hint: 'The log of the program that reports it has the details under this id.',
      cause: error,
    });
    if (typeof error === 'object' && error !== null) faults.set(error, fault);
    tellFault(id, error);
    return fault;
  }

  /** The same in the words of whoever threw it: for the terminal of the person who runs the program, never for a row or an answer. */
  static inItsWords(error: unknown): AppError {
    if (error instanceof AppError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new AppError(isAbort(error) ? 'aborted' : 'internal', message, { cause: error });
  }
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';

/** By what was thrown, so that it has one id wherever it is caught. */
const faults = new WeakMap<object, AppError>();

type TellFault = (id: string, error: unknown) => void;
let tellFault: TellFault = (id, error) => console.error(id, error);

/** Where a program logs what `AppError.from` keeps from people; on its standard error until this is called. */
export function onFault(tell: TellFault): void {
  tellFault = tell;
}
