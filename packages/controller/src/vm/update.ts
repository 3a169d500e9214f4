/** Another root under the home of a CLI VM. */
import type { VmUpdateKind } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import type { VmContext } from './context.js';
import type { Behind, VmRow } from './vm.js';

/** See `Vms.update`. */
export async function update(
  _ctx: VmContext,
  vmId: string,
  _request: { kind: VmUpdateKind; now: boolean },
): Promise<VmRow> {
  throw new AppError('internal', `VM ${vmId} cannot be updated.`);
}

/** See `Vms.updateAll`. */
export async function updateAll(_ctx: VmContext): Promise<VmRow[]> {
  return [];
}

/** See `Vms.behind`. */
export async function behind(_ctx: VmContext, _rows: readonly VmRow[]): Promise<ReadonlyMap<string, Behind>> {
  return new Map();
}
