/**
 * Drives one sign-in from wherever its row says it is to its end. Every step looks at what is already done, so that a
 * restarted controller calls the same function again. Throws when the session cannot go on; the caller ends it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@airlock/contract/errors';
import { CheckResult, CredentialBundle, LoginStatus, type CheckName } from '@airlock/contract/guest';
import type { RunnerStatus } from '@airlock/contract/runner';
import { providers } from '@airlock/contract/provider/registry';
import type { Settings } from '@airlock/contract/settings';
import type { Custodian } from '../credential/custodian.js';
import type { Machines, VmRow } from '../machine/machine.js';
import type { Vault } from '../vault/vault.js';
import type { SessionRow, SessionRows } from './rows.js';
import type { SessionPatch } from './rows.js';
import type { StepChanges } from './steps.js';
import type { SessionEvent } from './transitions.js';

export interface DriveDeps {
  rows: SessionRows;
  machines: Machines;
  vault: Vault;
  custodian: Pick<Custodian, 'deliver' | 'retire'>;
  settings: Settings;
}

/** How often the agent is asked about the login, in ms; the original asks for at most 2 s. */
const pollMs = 1000;
/** A CLI that cannot open its sign-in page within this time (ms, also under emulation) is stuck. */
const pageTimeoutMs = 180_000;
const proofTimeoutMs = 180_000;

/** One run through a session. */
interface Drive extends DriveDeps {
  id: string;
  userId: string;
  signal: AbortSignal;
}

/**
 * Takes the session to `completed`.
 * @throws AppError why it failed; `sign_in_timeout` when the person's time is up; `aborted` when `signal` fired
 */
export async function driveSession(row: SessionRow, deps: DriveDeps, signal: AbortSignal): Promise<void> {
  const drive: Drive = { ...deps, id: row.id, userId: row.userId, signal };
  const staged = await deps.vault.staged(row.id);
  if (staged && row.status === 'delivering') {
    await handOver(drive, row, staged.generation, prepareCli(drive));
    return;
  }
  const browser = await bringUpDesktop(drive, row);
  await openLoginPage(drive, row, browser);
  const cli = prepareCli(drive);
  // Awaited in handOver; until then a failure must not count as unhandled.
  cli.catch(() => undefined);
  const bundle = await waitForCredential(drive, row, browser);
  await apply(drive, 'credential_received', {}, { finish: ['person', 'credential'], start: ['sealed'] });
  const { generation } = await deps.vault.stage(
    { userId: row.userId, provider: row.provider, sessionId: row.id },
    bundle,
  );
  await apply(drive, 'sealed', {}, { finish: ['sealed'], start: ['delivered'] });
  await handOver(drive, row, generation, cli);
}

/** Applies an event; a session that has ended meanwhile stops the drive. */
async function apply(
  drive: Drive,
  event: SessionEvent,
  patch?: SessionPatch,
  steps?: StepChanges,
): Promise<SessionRow> {
  drive.signal.throwIfAborted();
  const row = await drive.rows.apply(drive.id, event, patch, steps);
  if (!row) throw new AppError('aborted', `Session ${drive.id} has ended.`);
  return row;
}

/** Moves on unless a resumed session is already further. */
async function advance(drive: Drive, event: SessionEvent, patch?: SessionPatch, steps?: StepChanges): Promise<void> {
  drive.signal.throwIfAborted();
  const moved = await drive.rows.apply(drive.id, event, patch, steps);
  if (!moved) await apply(drive, 'progress', patch, steps);
}

async function bringUpDesktop(drive: Drive, row: SessionRow): Promise<VmRow> {
  let vmId = row.browserVmId;
  if (vmId === null) {
    const vm = await drive.machines.createBrowser({ userId: row.userId, sessionId: row.id, destroyAt: null });
    vmId = vm.id;
    const recorded = await drive.rows.apply(row.id, 'vm_created', { browserVmId: vmId }, { start: ['browser_vm'] });
    if (!recorded) {
      await drive.machines.destroy(vmId);
      throw new AppError('aborted', `Session ${row.id} ended while its VM was being made.`);
    }
  }
  const onStatus = (status: RunnerStatus): void => {
    void drive.rows.apply(row.id, 'progress', {}, bootSteps(status));
  };
  const vm = await drive.machines.waitReady(vmId, onStatus, drive.signal);
  await advance(drive, 'desktop_ready', {}, { finish: ['browser_vm', 'desktop'], start: ['login_started'] });
  return vm;
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

/** Starts the CLI's login (or finds it running) and waits until it has opened its page. */
async function openLoginPage(drive: Drive, row: SessionRow, browser: VmRow): Promise<void> {
  const guest = await drive.machines.guest(browser.id);
  let status = await guest.call('GET', '/login', LoginStatus, { signal: drive.signal });
  if (status.state === 'idle')
    status = await guest.call('POST', '/login', LoginStatus, {
      body: { provider: row.provider },
      signal: drive.signal,
    });
  await apply(drive, 'progress', {}, { finish: ['login_started'], start: ['login_page'] });
  const deadline = Date.now() + pageTimeoutMs;
  while (status.state === 'starting') {
    if (Date.now() > deadline)
      throw loginFailure(row, status, `did not open its sign-in page within ${pageTimeoutMs / 1000} s`);
    await delay(pollMs, undefined, { signal: drive.signal });
    status = await guest.call('GET', '/login', LoginStatus, { signal: drive.signal });
  }
  if (status.state === 'failed')
    throw loginFailure(row, status, `ended with exit code ${status.exitCode ?? 'unknown'}`);
  const expiresAt = row.expiresAt ?? new Date(Date.now() + drive.settings.AIRLOCK_SIGN_IN_TIMEOUT_S * 1000);
  await advance(drive, 'page_opened', { expiresAt }, { finish: ['login_page'], start: ['person'] });
}

function loginFailure(row: SessionRow, status: LoginStatus, what: string): AppError {
  const { name } = providers[row.provider];
  return new AppError('login_failed', `The ${name} login ${what}.`, {
    hint: 'Try again. If sign-in was denied on the provider’s page, allow it there.',
    details: { lastOutput: status.lastOutput },
  });
}

/** Waits for the person; the deadline is the row's, so it holds across restarts. */
async function waitForCredential(drive: Drive, row: SessionRow, browser: VmRow): Promise<CredentialBundle> {
  const guest = await drive.machines.guest(browser.id);
  for (;;) {
    const [current, vm] = await Promise.all([drive.rows.get(drive.id), drive.machines.get(browser.id)]);
    if (vm?.state !== 'running')
      throw vm?.error
        ? AppError.fromBody(vm.error)
        : new AppError('vm_lost', 'The desktop’s VM ended during the sign-in.');
    const status = await guest.call('GET', '/login', LoginStatus, { signal: drive.signal });
    if (status.state === 'failed')
      throw loginFailure(row, status, `ended with exit code ${status.exitCode ?? 'unknown'} and no credential`);
    if (status.state === 'succeeded') {
      await apply(drive, 'progress', {}, { finish: ['person'], start: ['credential'] });
      return guest.call('GET', `/credentials/${row.provider}`, CredentialBundle, { signal: drive.signal });
    }
    if (current?.expiresAt && current.expiresAt <= new Date()) {
      throw new AppError(
        'sign_in_timeout',
        `Nobody finished the sign-in within ${drive.settings.AIRLOCK_SIGN_IN_TIMEOUT_S} s.`,
        {
          hint: 'Press Connect to start again.',
        },
      );
    }
    await delay(pollMs, undefined, { signal: drive.signal });
  }
}

/** The user's CLI VM, made ready while the person signs in. */
async function prepareCli(drive: Drive): Promise<VmRow> {
  await apply(drive, 'progress', {}, { start: ['cli_vm'] });
  const onProgress = (text: string): void => {
    void drive.rows.apply(drive.id, 'progress', {}, { detail: { name: 'cli_vm', text } });
  };
  const vm = await drive.machines.ensureCli(drive.userId, drive.id, onProgress, drive.signal);
  await apply(drive, 'progress', { cliVmId: vm.id }, { finish: ['cli_vm'] });
  return vm;
}

/** Deliver, prove with the CLI itself, commit, and only then schedule the end of the browser VM. */
async function handOver(drive: Drive, row: SessionRow, generation: number, cli: Promise<VmRow>): Promise<void> {
  const vm = await cli;
  const guest = await drive.machines.guest(vm.id);
  await drive.custodian.deliver(vm.id, { userId: row.userId, provider: row.provider, generation });
  await apply(drive, 'progress', {}, { finish: ['delivered'], start: ['proved'] });
  const check = `proof_${row.provider}` as CheckName;
  const proof = await guest.call('POST', `/checks/${check}`, CheckResult, {
    signal: drive.signal,
    timeoutMs: proofTimeoutMs,
  });
  if (!proof.ok) {
    throw new AppError(
      'proof_failed',
      `The ${providers[row.provider].name} CLI in the CLI VM does not accept the credential (exit code ${proof.exitCode ?? 'none'}).`,
      {
        hint: 'Sign in again. If it happens twice, the CLI’s own output below says why.',
        details: { output: proof.output },
      },
    );
  }
  await drive.vault.commit(row.userId, row.provider, generation);
  const current = await drive.rows.get(row.id);
  if (current?.browserVmId) await drive.custodian.retire(current.browserVmId, row.provider);
  const destroyAt = new Date(Date.now() + drive.settings.AIRLOCK_DESTROY_AFTER_S * 1000);
  if (current?.browserVmId) await drive.machines.scheduleDestroy(current.browserVmId, destroyAt);
  await apply(drive, 'proved', { destroyAt: current?.browserVmId ? destroyAt : null }, { finish: ['proved'] });
}
