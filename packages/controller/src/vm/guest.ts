/** Reaching into a VM that runs: its agent, its checks, its desktop. */
import type { BulkSocket } from '@airlock/contract/bulk-socket';
import { AppError } from '@airlock/contract/errors';
import { GuestHealth, type CheckName, type CheckResult } from '@airlock/contract/guest';
import { withPrefix, type JsonClient } from '@airlock/contract/http-client';
import { requireDesktop } from './age.js';
import { askForCheck } from './check.js';
import type { VmContext } from './context.js';
import * as rows from './rows.js';
import { beginUse } from './use.js';
import { ownerOf, type Reach, type VmRow } from './vm.js';

/** What the guard of CLI VMs is given. */
export const reachOf = (ctx: VmContext): Reach => ({
  vms: {
    get: (vmId) => rows.get(ctx, vmId),
    guest: (vmId) => guest(ctx, vmId),
    runCheck: (vmId, name) => runCheck(ctx, vmId, name),
  },
  signal: ctx.signal,
});

/** The agent in the VM; paths as in contract/guest.ts. */
export async function guest(ctx: VmContext, vmId: string): Promise<JsonClient> {
  await requireUp(ctx, vmId);
  return withPrefix(ctx.engine.client(vmId), '/guest');
}

/** See `Vms.desktopGuest`. */
export async function desktopGuest(ctx: VmContext, vmId: string): Promise<JsonClient> {
  await requireDesktop(await requireDesktopVm(ctx, vmId), ctx.images);
  return guest(ctx, vmId);
}

export async function health(ctx: VmContext, vmId: string): Promise<GuestHealth> {
  return (await guest(ctx, vmId)).call('GET', '/health', GuestHealth);
}

/** See `Vms.runCheck`. A CLI takes longer to start than the shortest time after which a CLI VM is idle. */
export async function runCheckInUse(ctx: VmContext, vmId: string, name: CheckName): Promise<CheckResult> {
  const row = await requireUp(ctx, vmId);
  const end = row.kind === 'cli' ? beginUse(ctx, ownerOf(row)) : () => undefined;
  try {
    return await runCheck(ctx, vmId, name);
  } finally {
    end();
    await rows.touch(ctx, vmId);
  }
}

async function runCheck(ctx: VmContext, vmId: string, name: CheckName): Promise<CheckResult> {
  const row = await requireUp(ctx, vmId);
  await rows.touch(ctx, vmId);
  return askForCheck(ctx, row, name);
}

export async function openDesktop(ctx: VmContext, vmId: string): Promise<BulkSocket> {
  await requireDesktopVm(ctx, vmId);
  return ctx.engine.openDesktop(vmId);
}

/** @throws AppError not_found, vm_not_running, desktop_not_ready */
async function requireDesktopVm(ctx: VmContext, vmId: string): Promise<VmRow> {
  const row = await requireUp(ctx, vmId);
  if (row.kind !== 'browser') throw new AppError('desktop_not_ready', `VM ${vmId} has no desktop.`);
  return row;
}

/** @throws AppError not_found, vm_not_running */
async function requireUp(ctx: VmContext, vmId: string): Promise<VmRow> {
  const row = await rows.get(ctx, vmId);
  if (!row) throw new AppError('not_found', `There is no VM ${vmId}.`);
  if (row.state === 'running' || row.state === 'starting') return row;
  throw new AppError('vm_not_running', `VM ${vmId} is ${row.state}.`);
}
