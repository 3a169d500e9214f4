/**
 * The part of a sign-in after the person's: take the credential, seal it, deliver it, prove it with the CLI itself, commit.
 * When that fails the former credential is put back into the CLI VM, and the desktop stays.
 */
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { CheckResult, CredentialBundle, proofName } from '@airlock/contract/guest';
import { providers } from '@airlock/contract/provider/registry';
import { proofError } from '../credential/health.js';
import type { VmRow } from '../vm/vm.js';
import { apply, browserOf, progressLost, type Drive } from './driven.js';
import { callGuest, requireRunning, whileUnanswered } from '../vm/patience.js';
import type { SessionRow } from './rows.js';

const proofTimeoutMs = 180_000;

/** The user's CLI VM, made ready while the person signs in. Nobody needs to wait for the answer. */
export function prepareCli(drive: Drive, userId: string): Promise<VmRow> {
  const work = prepare(drive, userId);
  work.catch(() => undefined);
  return work;
}

async function prepare(drive: Drive, userId: string): Promise<VmRow> {
  await apply(drive, 'progress', { steps: { start: ['cli_vm'] } });
  const onProgress = (text: string): void => {
    const told = drive.rows.apply(drive.id, 'progress', { steps: { detail: { name: 'cli_vm', text } } });
    drive.background.own(told, progressLost, { sessionId: drive.id });
  };
  const vm = await drive.vms.ensureCli(userId, drive.id, onProgress, drive.signal);
  await apply(drive, 'progress', { patch: { cliVmId: vm.id }, steps: { finish: ['cli_vm'] } });
  return vm;
}

/** The CLI VM, ready now. What was prepared while the person signed in may have failed or ended since: one more try tells. */
async function readyCli(drive: Drive, userId: string): Promise<VmRow> {
  const early = await drive.cli?.catch(() => undefined);
  const vm = early && (await drive.vms.get(early.id));
  if (vm?.state === 'running') return vm;
  drive.cli = prepareCli(drive, userId);
  return drive.cli;
}

/** Takes the credential out of the desktop and seals it. */
export async function takeCredential(drive: Drive, row: SessionRow): Promise<void> {
  drive.cli ??= prepareCli(drive, row.userId);
  try {
    const path = `/credentials/${row.provider}`;
    const bundle = await callGuest(drive, browserOf(row), { method: 'GET', path, schema: CredentialBundle });
    await apply(drive, 'progress', { steps: { finish: ['credential'], start: ['sealed'] } });
    await drive.vault.stage({ userId: row.userId, provider: row.provider, sessionId: row.id }, bundle);
  } catch (error) {
    return failHandOver(drive, row, error);
  }
  await apply(drive, 'sealed', { steps: { finish: ['sealed'], start: ['delivered'] } });
}

/**
 * Deliver, prove with the CLI itself, commit, and only then schedule the end of the browser VM. Leaves the row as it is when the CLI
 * VM was stopped meanwhile: to be called again.
 */
export async function handOver(drive: Drive, row: SessionRow): Promise<void> {
  try {
    const staged = await drive.vault.staged(row.id);
    if (staged) {
      await deliver(drive, row, await readyCli(drive, row.userId), staged.lineage);
      await drive.vault.commit(row.userId, row.provider, staged.lineage);
    } else if (!(await drive.vault.isCommitted(row.id))) {
      throw new AppError('session_interrupted', 'The credential of this sign-in is not in the vault any more.');
    }
  } catch (error) {
    // Somebody has stopped the CLI VM under it: nothing is lost, so the next look at the session begins it again.
    if (error instanceof AppError && error.code === 'vm_not_running') return;
    return failHandOver(drive, row, error);
  }
  await drive.custodian.retire(browserOf(row), row.provider);
  const destroyAt = new Date(Date.now() + drive.settings.AIRLOCK_DESTROY_AFTER_S * 1000);
  await drive.vms.scheduleDestroy(browserOf(row), destroyAt);
  await apply(drive, 'proved', {
    patch: { destroyAt },
    steps: { finish: ['delivered', 'proved'] },
  });
}

async function deliver(drive: Drive, row: SessionRow, cli: VmRow, lineage: number): Promise<void> {
  await apply(drive, 'progress', { patch: { cliVmId: cli.id } });
  const { userId, provider } = row;
  await whileUnanswered(drive, cli.id, () =>
    drive.custodian.deliver(cli.id, { userId, provider, lineage }, drive.signal),
  );
  await apply(drive, 'progress', { steps: { finish: ['delivered'], start: ['proved'] } });
  const check = proofName(row.provider);
  const proof = await callGuest(drive, cli.id, {
    method: 'POST',
    path: `/checks/${check}`,
    schema: CheckResult,
    timeoutMs: proofTimeoutMs,
  });
  if (proof.ok) return;
  // A CLI that the end of its VM has killed has said nothing.
  requireRunning(await drive.vms.get(cli.id), cli.id);
  const hint = 'Sign in again. If it happens twice, the CLI’s own output below says why.';
  throw proofError(providers[row.provider], 'the credential', proof, hint);
}

/** Back to the person while there is a desktop to go back to. @throws AppError `error` itself otherwise */
async function failHandOver(drive: Drive, row: SessionRow, error: unknown): Promise<void> {
  drive.signal.throwIfAborted();
  const why = AppError.from(error);
  const vm = await drive.vms.get(browserOf(row));
  if (vm?.state !== 'running' || why.code === 'aborted') throw why;
  await drive.vault.discard(row.id);
  const { cliVmId } = (await drive.rows.get(row.id)) ?? row;
  // With its generation gone from the vault, the CLI VM is given the active one again, or none. Where that cannot be done now, the
  // custodian does it at its next look.
  if (cliVmId !== null) await raceAbort(drive.custodian.sync(cliVmId), drive.signal).catch(() => []);
  drive.cli = undefined;
  await apply(drive, 'hand_over_failed', {
    patch: { login: null, notice: why.toBody() },
    steps: { fail: ['credential', 'sealed', 'cli_vm', 'delivered', 'proved'] },
  });
}
