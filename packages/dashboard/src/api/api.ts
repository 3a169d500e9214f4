/** The controller's HTTP API as functions: every answer is parsed by its contract schema, every failure is an AppError. */
import {
  ApiKeyResponse,
  CredentialList,
  CredentialSummary,
  DesktopTicket,
  ProviderList,
  RemoveCredentialResponse,
  StartSessionResponse,
  SystemStatus,
  User,
  UserList,
  Vm,
  VmList,
  type VmUpdateKind,
} from '@airlock/contract/api';
import { LoginAccount, LoginResponse } from '@airlock/contract/login';
import { DesktopCopied, DesktopPasted, LoginTerminal, type DesktopSize } from '@airlock/contract/desktop';
import { AuditList } from '@airlock/contract/audit';
import { SignInList, SignOutResponse } from '@airlock/contract/sign-ins';
import type { LoginMethod } from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { Session } from '@airlock/contract/session';
import { z } from 'zod';
import { keepPageSecret } from './page-secret.js';
import { NoContent, request, requestStream } from './request.js';

const UserAnswer = z.strictObject({ user: User });
const Health = z.object({ status: z.literal('ok') });
const ownSignIns = '/api/users/me/sign-ins';
const vmAuth = (sessionId: string) => `/api/vm/auth/${encodeURIComponent(sessionId)}`;

const desktop = (vmId: string, verb: string) => `/api/vm/${encodeURIComponent(vmId)}/desktop/${verb}`;

const credential = (provider: ProviderId, verb = '') => `/api/credentials/${provider}${verb}`;

export type Api = ReturnType<typeof createApi>;

/** All calls use the sign-in of this browser, cookie and page secret, and reject with an AppError. */
export function createApi() {
  return {
    me: async (signal?: AbortSignal) => (await request('GET', '/api/me', UserAnswer, { signal })).user,
    /** Whose account a login link opens; the link stays good. */
    loginAccount: (token: string) => request('POST', '/api/login/account', LoginAccount, { body: { token } }),
    /** `replace`: also in the place of somebody else who is signed in in this browser. */
    login: async (token: string, replace: boolean) => {
      const { user, page } = await request('POST', '/api/login', LoginResponse, { body: { token, replace } });
      keepPageSecret(page);
      return user;
    },
    logout: async () => {
      await request('POST', '/api/logout', NoContent);
      keepPageSecret(null);
    },
    providers: async (signal?: AbortSignal) =>
      (await request('GET', '/api/providers', ProviderList, { signal })).providers,
    credentials: async (signal?: AbortSignal) =>
      (await request('GET', '/api/credentials', CredentialList, { signal })).credentials,
    checkCredential: (provider: ProviderId) => request('POST', credential(provider, '/check'), CredentialSummary),
    removeCredential: (provider: ProviderId) => request('DELETE', credential(provider), RemoveCredentialResponse),
    startSession: (provider: ProviderId) =>
      request('POST', '/api/vm/auth', StartSessionResponse, { body: { provider } }),
    session: (sessionId: string, signal?: AbortSignal) => request('GET', vmAuth(sessionId), Session, { signal }),
    cancelSession: (sessionId: string) => request('POST', `${vmAuth(sessionId)}/cancel`, Session),
    extendSession: (sessionId: string) => request('POST', `${vmAuth(sessionId)}/extend`, Session),
    /** `settings`: what the CLI asked for; the person need not sign in again then. */
    restartLogin: (sessionId: string, method: LoginMethod, settings?: Record<string, string>) =>
      request('POST', `${vmAuth(sessionId)}/fallback`, Session, { body: { method, ...(settings && { settings }) } }),
    typeCode: (sessionId: string, code: string) =>
      request('POST', `${vmAuth(sessionId)}/code`, Session, { body: { code } }),
    setApiKey: (provider: ProviderId, key: string) =>
      request('PUT', `/api/credentials/${provider}/api-key`, ApiKeyResponse, { body: { key } }),
    /** The session at once, and whenever it changes, as server-sent events. */
    sessionEvents: (sessionId: string, signal: AbortSignal) =>
      requestStream('GET', `${vmAuth(sessionId)}/events`, { signal }),
    ...desktopCalls(),
    loginTerminal: (sessionId: string, signal?: AbortSignal) =>
      request('GET', `${vmAuth(sessionId)}/terminal`, LoginTerminal, { signal }),
    /** Whether the controller answers at all; signed in or not. */
    answers: (signal: AbortSignal) => request('GET', '/healthz', Health, { signal }),
    /** The events of one prompt's answer, as server-sent events; `signal` cancels the prompt. */
    prompt: (body: { provider: ProviderId; prompt: string; timeoutS?: number }, signal: AbortSignal) =>
      requestStream('POST', '/api/vm/me/cli/prompt', { body, signal }),
    /** What was done and concerns the person, older than the record `before`, the newest first. */
    audit: (before?: number, signal?: AbortSignal) =>
      request('GET', `/api/audit${before === undefined ? '' : `?before=${before}`}`, AuditList, { signal }),
    signIns: async (signal?: AbortSignal) => (await request('GET', ownSignIns, SignInList, { signal })).signIns,
    endSignIn: (id: string) => request('DELETE', `${ownSignIns}/${encodeURIComponent(id)}`, NoContent),
    signOutEverywhere: () => request('DELETE', ownSignIns, SignOutResponse),
    system: (signal?: AbortSignal) => request('GET', '/api/system', SystemStatus, { signal }),
    users: async (signal?: AbortSignal) => (await request('GET', '/api/users', UserList, { signal })).users,
    /** `stop` is answered when that is done, the others when the VM is on its way. */
    powerVm: (vmId: string, verb: 'stop' | 'start' | 'restart') =>
      request('POST', `/api/vm/${encodeURIComponent(vmId)}/${verb}`, Vm),
    /** Asks for another root under the VM's home; answered when it is written down. `now`: whatever uses the VM. */
    replaceRoot: (vmId: string, kind: VmUpdateKind, now: boolean) =>
      request('POST', `/api/vm/${encodeURIComponent(vmId)}/${kind}`, Vm, { body: { now } }),
    /** Asks for it for all that are behind; answers which. */
    updateVms: async () => (await request('POST', '/api/vm/update', VmList)).vms,
    vms: async (signal?: AbortSignal) => (await request('GET', '/api/vm', VmList, { signal })).vms,
  };
}

/** About the desktop of a VM. */
function desktopCalls() {
  return {
    desktopTicket: (vmId: string, signal?: AbortSignal) =>
      request('POST', `/api/vm/${encodeURIComponent(vmId)}/desktop-ticket`, DesktopTicket, { signal }),
    /** `masked`: the VM's clipboard is emptied as soon as the text was fetched. Resolves to whether it was. */
    pasteIntoDesktop: async (vmId: string, body: { text: string; masked: boolean }, signal: AbortSignal) =>
      (await request('POST', desktop(vmId, 'paste'), DesktopPasted, { body, signal })).fetched,
    /** Key by key: it is on no clipboard. */
    typeIntoDesktop: (vmId: string, body: { text: string }, signal: AbortSignal) =>
      request('POST', desktop(vmId, 'type'), NoContent, { body, signal }),
    /** Pixels. */
    sizeDesktop: (vmId: string, { width, height }: DesktopSize) =>
      request('POST', desktop(vmId, 'size'), NoContent, { body: { width, height } }),
    copiedInDesktop: async (vmId: string) => (await request('GET', desktop(vmId, 'copied'), DesktopCopied)).text,
  };
}
