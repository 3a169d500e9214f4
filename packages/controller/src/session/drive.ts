/**
 * Drives one sign-in from wherever its row says it is to its end: looks at the row, does what its status asks for, looks
 * again. Every step looks at what is already done, so that a restarted controller calls the same function again.
 */
import { AppError } from '@airlock/contract/errors';
import type { RunnerStatus } from '@airlock/contract/runner';
import { isFinal } from '@airlock/contract/session';
import { isFinal as isFinalVm } from '../vm/transitions.js';
import type { VmRow } from '../vm/vm.js';
import { apply, browserOf, progressLost, type Drive, type DriveDeps } from './driven.js';
import { handOver, takeCredential } from './hand-over.js';
import type { SessionRow } from './rows.js';
import { awaitPerson, openLoginPage } from './sign-in.js';
import type { StepChanges } from './steps.js';

/**
 * Takes the session to `completed`.
 * @throws AppError why it cannot go on; `aborted` when it has ended otherwise or `signal` fired
 */
export async function driveSession(sessionId: string, deps: DriveDeps, signal: AbortSignal): Promise<void> {
  const drive: Drive = { ...deps, id: sessionId, signal, cli: undefined };
  for (;;) {
    signal.throwIfAborted();
    const row = await drive.rows.get(sessionId);
    if (!row || isFinal(row.status)) return;
    await step(drive, row);
  }
}

async function step(drive: Drive, row: SessionRow): Promise<void> {
  switch (row.status) {
    case 'pending':
      return makeVm(drive, row);
    case 'vm_created':
      return bringUpDesktop(drive, row);
    case 'ready':
      return openLoginPage(drive, row);
    case 'awaiting_user_auth':
      return awaitPerson(drive, row);
    case 'authenticating':
      return takeCredential(drive, row);
    default:
      return handOver(drive, row);
  }
}

async function makeVm(drive: Drive, row: SessionRow): Promise<void> {
  // A controller that was killed here may have made it already.
  const isMine = (vm: VmRow): boolean => vm.sessionId === row.id && vm.kind === 'browser' && !isFinalVm(vm.state);
  const made = (await drive.vms.list(row.userId)).find(isMine);
  const claim = { userId: row.userId, sessionId: row.id };
  const vm = made ?? (await drive.pool.take(claim)) ?? (await drive.vms.createBrowser({ ...claim, destroyAt: null }));
  const recorded = await drive.rows.apply(row.id, 'vm_created', {
    patch: { browserVmId: vm.id },
    steps: { start: ['browser_vm'] },
  });
  if (recorded) return;
  await drive.vms.destroy(vm.id);
  throw new AppError('aborted', `Session ${row.id} ended while its VM was being made.`);
}

async function bringUpDesktop(drive: Drive, row: SessionRow): Promise<void> {
  const onStatus = (status: RunnerStatus): void => {
    const told = drive.rows.apply(row.id, 'progress', { steps: bootSteps(status) });
    drive.background.own(told, progressLost, { sessionId: row.id });
  };
  await drive.vms.waitReady(browserOf(row), onStatus, drive.signal);
  await apply(drive, 'desktop_ready', { steps: { finish: ['browser_vm', 'desktop'], start: ['login_started'] } });
}

/** What the page shows of a boot. */
function bootSteps(status: RunnerStatus): StepChanges {
  if (status.vncAt === null)
    return {
      detail: { name: 'browser_vm', text: status.phase === 'starting' ? 'reserving resources' : 'starting up' },
    };
  return {
    finish: ['browser_vm'],
    start: ['desktop'],
    detail: { name: 'desktop', text: 'waiting for browser and terminal' },
  };
}
