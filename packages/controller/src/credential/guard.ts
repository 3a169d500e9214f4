/** Stands at the start and the end of each CLI VM, and looks into one VM at a time: what the custodian and the VMs share. */
import type { Logger } from 'pino';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { CheckResult } from '@airlock/contract/guest';
import { providers } from '@airlock/contract/provider/registry';
import { createQueue } from '../lib/keyed.js';
import type { CustodyRow, Vault } from '../vault/vault.js';
import { whileUnanswered } from '../vm/patience.js';
import type { CliGuard, Reach, VmRow } from '../vm/vm.js';
import { prove } from './check.js';
import type { SyncReport } from './custodian.js';
import { proofError } from './health.js';
import { tend } from './tend.js';

export interface CredentialGuard extends CliGuard {
  /** Does `work` while nobody else looks into this VM, in the order of the calls. */
  inTurn<T>(vmId: string, work: () => Promise<T>): Promise<T>;
  /** As `Custodian.sync`. */
  sync(vm: VmRow, vms: Pick<Reach['vms'], 'guest'>): Promise<SyncReport[]>;
  /** False when the VM could not be looked into, or holds what must not be stored. Never rejects. */
  syncQuietly(vm: VmRow, vms: Pick<Reach['vms'], 'guest'>): Promise<boolean>;
}

/** What is known to be no good is no reason to complain of the VM. */
const isExpectedGood = (custody: CustodyRow | undefined): boolean =>
  custody?.health !== 'needs_login' && custody?.health !== 'revoked';

/** Asks the CLI of each login that should be good. @throws AppError proof_failed, or why a CLI could not be asked */
async function proveAll({ id, userId }: VmRow, reach: Reach, vault: Vault): Promise<void> {
  const custody = await vault.custody(userId);
  for (const { provider, state } of await vault.list(userId)) {
    const held = custody.find((one) => one.provider === provider && one.holderVmId === id);
    if (state !== 'active' || !held || !isExpectedGood(held)) continue;
    const ask = (): Promise<CheckResult> => raceAbort(prove(reach.vms, id, { provider }), reach.signal);
    const proof = await whileUnanswered(reach, id, ask);
    if (proof.ok) continue;
    throw proofError(
      providers[provider].name,
      'its login',
      proof,
      'Sign in again if the CLI refuses it in the old root, too.',
    );
  }
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
    proved: (vm, reach) => looks.run(vm.id, () => proveAll(vm, reach, vault)),
    async ending(vm, { vms }) {
      if (await guard.syncQuietly(vm, vms)) await setConfirmed(vm, true);
    },
  };
  return guard;
}
