/** VMs as the API shows them, and who may do what with one. Pure. */
import type { User, Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { isFinal } from '../vm/transitions.js';
import type { VmRow } from '../vm/vm.js';

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

/** What a row does not say of its VM. `idleS`: seconds that a CLI VM runs unused. `uses`: how many uses of it are under way. */
export interface Beside {
  idleS: number;
  uses: number;
  behind: Vm['behind'];
}

export const toVm = (row: VmRow, { idleS, uses, behind }: Beside): Vm => ({
  id: row.id,
  userId: row.userId,
  kind: row.kind,
  state: row.state,
  sessionId: row.sessionId,
  imageId: row.imageId,
  accel: row.accel,
  countMs: row.countMs,
  network: row.network,
  driver: row.driver,
  driverReason: row.driverReason,
  createdAt: row.createdAt.toISOString(),
  readyAt: iso(row.readyAt),
  destroyAt: iso(row.destroyAt),
  stopAt: iso(idleEnd(row, idleS)),
  uses: row.kind === 'cli' && !isFinal(row.state) ? uses : 0,
  update: updateOf(row),
  behind,
  timings: row.timings,
  error: row.error,
});

function updateOf({ rootUpdate }: VmRow): Vm['update'] {
  if (rootUpdate === null) return null;
  const { kind, state, to, since, error } = rootUpdate;
  return { kind, state, imageId: to?.imageId ?? null, since: new Date(since).toISOString(), error };
}

function idleEnd({ kind, state, lastUsedAt, readyAt, createdAt }: VmRow, idleS: number): Date | null {
  if (kind !== 'cli' || state !== 'running') return null;
  const used = Math.max(...[lastUsedAt, readyAt, createdAt].map((date) => date?.getTime() ?? 0));
  return new Date(used + idleS * 1000);
}

/** The row itself when the user may know of it. @throws AppError not_found */
export function visibleVm(user: User, vmId: string, row: VmRow | undefined): VmRow {
  if (row && (row.userId === user.id || user.role === 'admin')) return row;
  throw new AppError('not_found', `There is no VM ${vmId}.`);
}

/** Programs may run in one’s own VM in which no person signs in, and in nobody else’s. @throws AppError forbidden */
export function assertMayCheck(user: User, row: VmRow): void {
  if (row.userId !== user.id) {
    throw new AppError('forbidden', 'Checks run in a VM for its owner, and for nobody else.');
  }
  if (row.kind !== 'browser' || row.sessionId === null) return;
  throw new AppError('forbidden', 'No check runs in the VM of a sign-in: it belongs to the person alone.', {
    hint: 'Make a VM of its own for checks: POST /api/vm, or `npx airlock selftest`.',
  });
}

/** Also an administrator does not look at the desktop on which somebody signs in. @throws AppError */
export function assertMayView(user: User, row: VmRow): void {
  if (row.userId !== user.id && row.sessionId !== null) {
    throw new AppError(
      'forbidden',
      'The desktop of a sign-in is shown to the person who signs in, and to nobody else.',
    );
  }
  if (row.kind !== 'browser') {
    throw new AppError('desktop_not_ready', 'A CLI VM has no desktop.', { hint: 'Run prompts in it instead.' });
  }
  if (row.state !== 'starting' && row.state !== 'running') {
    throw new AppError('vm_not_running', `The VM is ${row.state}; its desktop can be shown while it is running.`);
  }
}

/** Logins are their owner's alone: also an administrator runs nothing with somebody else's. @throws AppError */
export function assertMayPrompt(user: User, row: VmRow): void {
  if (row.userId !== user.id) {
    throw new AppError('forbidden', 'Prompts run with the logins of the CLI VM’s owner, and for nobody else.');
  }
  if (row.kind !== 'cli') {
    throw new AppError('forbidden', 'Prompts run in a CLI VM; this is a browser VM.', {
      hint: 'POST /api/vm/me/cli/prompt finds your CLI VM.',
    });
  }
  if (['failed', 'destroying', 'destroyed'].includes(row.state)) {
    throw new AppError('vm_not_running', `The CLI VM ${row.id} is ${row.state}.`, {
      hint: 'POST /api/vm/me/cli/prompt finds the one in use.',
    });
  }
}

/** `sessionOpen`: the session that the VM was made for has not ended. @throws AppError forbidden */
export function assertMayDestroy(row: VmRow, sessionOpen: boolean): void {
  if (row.kind !== 'browser' || !sessionOpen) return;
  throw new AppError('forbidden', `The VM belongs to the session ${row.sessionId}, which is under way.`, {
    hint: `Cancel the session instead: POST /api/vm/auth/${row.sessionId}/cancel.`,
  });
}
