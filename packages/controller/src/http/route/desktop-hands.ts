/**
 * What a person does with a desktop besides looking and pressing keys: paste, copy, size, and reading the login's terminal. The texts
 * go through and stay nowhere: not in the log, the audit or an error, whatever the guest says of them.
 */
import { z } from 'zod';
import {
  clipboardCharacters,
  DesktopCopied,
  DesktopPasted,
  DesktopPasteRequest,
  DesktopSizeRequest,
  DesktopTypingRequest,
  LoginTerminal,
} from '@airlock/contract/desktop';
import { AppError, type ErrorCode } from '@airlock/contract/errors';
import { SessionId } from '@airlock/contract/ids';
import type { FastifyRequest } from 'fastify';
import type { VmRow } from '../../vm/vm.js';
import { answers, noContent } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
import { noteVm } from '../note.js';
import { assertMayView, visibleVm } from '../vm.js';
import { vmOf, vmParams } from './vms.js';

/** Milliseconds for an answer of the agent, which gives a paste twelve seconds after the one before it. */
const timeoutMs = 30_000;
/** Bytes of the longest paste as JSON, each character of which may be an escape such as \u0007. */
const pasteBytes = 6 * clipboardCharacters + 1024;

/** `isWatching`: the user has the desktop open, which is noted. */
export interface HandDeps extends HttpDeps {
  isWatching(userId: string, vmId: string): boolean;
}
type NotingDeps = HandDeps & { noted: Map<string, number> };

/** Milliseconds in which the same user who does the same with the same desktop is noted once: a terminal is read each second. */
const notedMs = 600_000;

export function addHandRoutes(server: Server, handDeps: HandDeps): void {
  const deps = { ...handDeps, noted: new Map<string, number>() };
  addPaste(server, deps);
  addTyping(server, deps);
  addSize(server, deps);
  addCopied(server, deps);
  addTerminal(server, deps);
}

type OfVm = FastifyRequest<{ Params: { id: string } }>;

function addPaste(server: Server, deps: NotingDeps): void {
  server.post(
    '/api/vm/:id/desktop/paste',
    {
      bodyLimit: pasteBytes,
      schema: {
        params: vmParams,
        body: DesktopPasteRequest,
        response: answers(200, DesktopPasted),
        summary: 'Put a text where the keyboard of the desktop is; it is kept nowhere',
      },
    },
    async (request) => {
      const row = await viewed(deps, request, 'paste');
      used(deps, row);
      const guest = await deps.vms.desktopGuest(row.id);
      const { body } = request;
      return unspoken('take the paste', guest.call('POST', '/desktop/paste', DesktopPasted, { body, timeoutMs }));
    },
  );
}

function addTyping(server: Server, deps: NotingDeps): void {
  server.post(
    '/api/vm/:id/desktop/type',
    {
      schema: {
        params: vmParams,
        body: DesktopTypingRequest,
        response: answers(204, noContent),
        summary: 'Type a text where the keyboard of the desktop is, key by key; it is on no clipboard and kept nowhere',
      },
    },
    async (request, reply) => {
      const row = await viewed(deps, request, 'type');
      used(deps, row);
      const guest = await deps.vms.desktopGuest(row.id);
      const { body } = request;
      await unspoken('type the text', guest.call('POST', '/desktop/type', null, { body, timeoutMs }));
      return reply.status(204).send(undefined);
    },
  );
}

function addSize(server: Server, deps: NotingDeps): void {
  server.post(
    '/api/vm/:id/desktop/size',
    {
      schema: {
        params: vmParams,
        body: DesktopSizeRequest,
        response: answers(204, noContent),
        summary: 'Give the desktop another size, in pixels, and lay its windows out anew',
      },
    },
    async (request, reply) => {
      const row = await viewed(deps, request, 'size');
      const guest = await deps.vms.desktopGuest(row.id);
      const { body } = request;
      await unspoken('take the size', guest.call('POST', '/desktop/size', null, { body, timeoutMs }));
      return reply.status(204).send(undefined);
    },
  );
}

function addCopied(server: Server, deps: NotingDeps): void {
  server.get(
    '/api/vm/:id/desktop/copied',
    {
      schema: {
        params: vmParams,
        response: answers(200, DesktopCopied),
        summary: 'What was copied in the desktop last',
      },
    },
    async (request) => {
      const row = await viewed(deps, request, 'copied');
      used(deps, row);
      const guest = await deps.vms.desktopGuest(row.id);
      return unspoken('say what was copied', guest.call('GET', '/desktop/copied', DesktopCopied, { timeoutMs }));
    },
  );
}

function addTerminal(server: Server, deps: NotingDeps): void {
  server.get(
    '/api/vm/auth/:id/terminal',
    {
      schema: {
        params: z.strictObject({ id: SessionId }),
        response: answers(200, LoginTerminal),
        summary: 'What the CLI of a sign-in shows in its terminal, without secrets',
      },
    },
    async (request) => {
      const { id: userId } = userOf(request);
      const { browserVmId } = await deps.sessions.get(userId, request.params.id);
      if (browserVmId === null) throw new AppError('desktop_not_ready', 'The VM of this sign-in is not there yet.');
      const row = visibleVm(userOf(request), browserVmId, await deps.vms.get(browserVmId));
      await noteView(deps, request, row, 'terminal');
      const guest = await deps.vms.desktopGuest(row.id);
      return unspoken('show the terminal', guest.call('GET', '/login/terminal', LoginTerminal, { timeoutMs }));
    },
  );
}

/** The VM of the path, for whoever may see its desktop. @throws AppError */
async function viewed(deps: NotingDeps, request: OfVm, by: string): Promise<VmRow> {
  const row = await vmOf(deps, request);
  await noteView(deps, request, row, by);
  return row;
}

/** Whoever has the desktop open is in the audit with that: not with each letter besides. @throws AppError */
async function noteView(deps: NotingDeps, request: FastifyRequest, row: VmRow, by: string): Promise<void> {
  const user = userOf(request);
  assertMayView(user, row);
  const key = [user.id, row.id, by].join(' ');
  const now = performance.now();
  for (const [other, at] of deps.noted) if (now - at > notedMs) deps.noted.delete(other);
  if (deps.isWatching(user.id, row.id) || deps.noted.has(key)) return;
  await noteVm(deps, request, row, { action: 'desktop_opened', details: { by } });
  deps.noted.set(key, now);
}

/** The hands of the person are at the desktop; the size follows a window, and the terminal is only looked at. */
function used({ sessions }: HandDeps, { sessionId }: VmRow): void {
  if (sessionId !== null) sessions.noteActivity(sessionId);
}

/** What is passed on of the ways in which a call to the guest fails. */
const told: readonly ErrorCode[] = ['guest_unreachable', 'runner_failed', 'vm_not_running', 'desktop_not_ready'];
/** And of a text that cannot be typed, what to do. */
const hints: Partial<Record<ErrorCode, string>> = {
  payload_too_large:
    'It has more different characters than there are keys for beyond the keyboard’s own. Type it in parts.',
  invalid_request: 'It has a control character, or half of a character, which no key types.',
};

/** The guest's own words about a text may hold the text, and so may the words about an answer that is no JSON: neither goes on. */
async function unspoken<T>(what: string, answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    const { code } = AppError.from(error);
    throw new AppError(told.includes(code) || code in hints ? code : 'guest_refused', `The desktop did not ${what}.`, {
      hint: hints[code] ?? 'Try again in a moment. When it lasts, cancel this sign-in, and start a new one.',
      details: { guest: code },
    });
  });
}
