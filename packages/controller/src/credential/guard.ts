/** Stands at the start and the end of each CLI VM, and looks into one VM at a time: what the custodian and the VMs share. */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { createQueue } from '../lib/keyed.js';
import type { Vault } from '../vault/vault.js';
import { whileUnanswered } from '../vm/patience.js';
import type { CliGuard, Reach, VmRow } from '../vm/vm.js';
import type { SyncReport } from './custodian.js';
import { tend } from './tend.js';

export interface CredentialGuard extends CliGuard {
  /** Does `work` while nobody else looks into this VM, in the order of the calls. */
  inTurn<T>(vmId: string, work: () => Promise<T>): Promise<T>;
  /** As `Custodian.sync`. */
  sync(vm: VmRow, vms: Pick<Reach['vms'], 'guest'>): Promise<SyncReport[]>;
  /** False when the VM could not be looked into, or holds what must not be stored. Never rejects. */
  syncQuietly(vm: VmRow, vms: Pick<Reach['vms'], 'guest'>): Promise<boolean>;
}

/** Needs no VMs: it is given those that it is asked about. */
export function createCredentialGuard({ vault, log }: { vault: Vault; log: Logger }): CredentialGuard {
  const looks = createQueue();

  async function setConfirmed(vm: VmRow, confirmed: boolean): Promise<void> {
    for (const held of await vault.custody(vm.userId)) {
      if (held.holderVmId === vm.id) await vault.note(held, { confirmed });
    }
  }

  const guard: CredentialGuard = {
    inTurn: (vmId, work) => looks.run(vmId, work),
    sync: (vm, vms) => looks.run(vm.id, () => tend(vm, { vault, log, guest: (vmId) => vms.guest(vmId) })),
    async syncQuietly(vm, vms) {
      try {
        return (await guard.sync(vm, vms)).every(({ result }) => result !== 'conflict');
      } catch (error) {
        const { code, message } = AppError.from(error);
        log.warn({ vmId: vm.id, code, reason: message }, 'the credentials of a CLI VM could not be looked after');
        return false;
      }
    },
    starting: (vm) => setConfirmed(vm, false),
    ready: async (vm, reach) => void (await whileUnanswered(reach, vm.id, () => guard.sync(vm, reach.vms))),
    async ending(vm, { vms }) {
      if (await guard.syncQuietly(vm, vms)) await setConfirmed(vm, true);
    },
  };
  return guard;
}
