/** Brings vault and one CLI VM together, credential by credential. The caller sees to it that this runs once at a time for a VM. */
import type { Logger } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { CredentialBundle, GuestCredentials } from '@airlock/contract/guest';
import type { JsonClient } from '@airlock/contract/http-client';
import { providerIds } from '@airlock/contract/provider/provider';
import { ownerOf, type VmRow } from '../vm/vm.js';
import { judgeBundle } from '../vault/bundle.js';
import type { CredentialRow, CustodyRow, Owner, Vault } from '../vault/vault.js';
import type { SyncReport } from './custodian.js';
import { expiryOf } from './health.js';

export interface TendDeps {
  vault: Vault;
  guest(vmId: string): Promise<JsonClient>;
  log: Logger;
}

type Held = GuestCredentials['credentials'][number];

/** One credential, as the vault and as the VM know it. */
interface Case {
  vm: VmRow;
  guest: JsonClient;
  owner: Owner;
  held: Held;
  custody: CustodyRow | undefined;
  rows: CredentialRow[];
}

const nobody = { holderVmId: null, deliveredAs: null, deliveredGeneration: null, delivering: null, fingerprint: null };

export async function tend(vm: VmRow, deps: TendDeps): Promise<SyncReport[]> {
  const userId = ownerOf(vm);
  const [rows, custody] = [await deps.vault.list(userId), await deps.vault.custody(userId)];
  const known = providerIds.filter(
    (id) =>
      rows.some(({ provider }) => provider === id) || custody.some((c) => c.provider === id && c.holderVmId === vm.id),
  );
  if (known.length === 0) return [];
  const guest = await deps.guest(vm.id);
  const { credentials } = await guest.call('GET', '/credentials', GuestCredentials);
  const reports: SyncReport[] = [];
  for (const provider of known) {
    const held = credentials.find((one) => one.provider === provider);
    if (!held) continue;
    const owner = { userId, provider };
    const one: Case = {
      ...{ vm, guest, owner, held },
      custody: custody.find((row) => row.provider === provider),
      rows: rows.filter((row) => row.provider === provider),
    };
    const result = await tendOne(one, deps).catch((error: unknown) => tellInvalid(one, error, deps));
    if (result !== 'unchanged') deps.log.info({ vmId: vm.id, provider, result }, 'credential looked after');
    reports.push({ provider, result });
  }
  return reports;
}

async function tendOne(one: Case, deps: TendDeps): Promise<SyncReport['result']> {
  const { vm, guest, owner, held, rows } = one;
  const mine = await settled(one, deps);
  const active = rows.find(({ state }) => state === 'active');
  const staged = mine && rows.find(({ state, generation }) => state === 'staged' && isOn(mine, generation));
  if (!active && !staged) {
    if (!mine) return 'unchanged';
    await guest.call('DELETE', `/credentials/${owner.provider}`, null);
    await deps.vault.note(owner, nobody);
    return 'removed';
  }
  // A delivery that was cut short is taken up again by who began it.
  if (staged && mine.delivering !== null) return 'unchanged';
  const source = mine && rows.find(({ generation }) => generation === mine.deliveredGeneration);
  const isOurs = mine && mine.delivering === null && (held.generation === null || held.generation === mine.deliveredAs);
  if (source && isOurs) return follow({ ...one, custody: mine }, source, deps);
  if (mine && held.complete && held.fingerprint !== mine.fingerprint) tellConflict(vm, owner, deps);
  if (!active) return 'unchanged';
  await give(one, active, deps);
  return 'delivered';
}

/** Whether this VM holds, or is being given, this generation. */
const isOn = (custody: CustodyRow, generation: number): boolean =>
  custody.delivering === generation || (custody.delivering === null && custody.deliveredGeneration === generation);

/** The custody, if it is this VM's. A delivery that has arrived, or has touched nothing, is noted as such. */
async function settled({ vm, owner, held, custody }: Case, { vault }: TendDeps): Promise<CustodyRow | undefined> {
  if (custody?.holderVmId !== vm.id) return undefined;
  const { delivering, deliveredAs } = custody;
  if (delivering === null) return custody;
  const hasArrived = held.generation === delivering;
  if (!hasArrived && (held.generation === null || held.generation !== deliveredAs)) return custody;
  const known = {
    ...(hasArrived && { deliveredAs: delivering, deliveredGeneration: delivering }),
    ...{ delivering: null, fingerprint: null },
  };
  await vault.note(owner, known);
  return { ...custody, ...known };
}

/** The VM holds what the vault has, or what its CLI has made of that since. */
async function follow(one: Case, source: CredentialRow, deps: TendDeps): Promise<SyncReport['result']> {
  const { vm, guest, owner, held, custody } = one;
  // Neither gone nor replaced: what it is now nobody knows.
  if (held.unreadable !== undefined) throw new AppError('credential_invalid', held.unreadable);
  if (!held.complete) {
    if (source.state === 'active' && custody?.health !== 'needs_login')
      await deps.vault.note(owner, { health: 'needs_login', healthReason: 'The login is gone from the CLI VM.' });
    return 'missing';
  }
  if (held.fingerprint === custody?.fingerprint) {
    await forgetInvalid(one, deps);
    return 'unchanged';
  }
  const bundle = await guest.call('GET', `/credentials/${owner.provider}`, CredentialBundle);
  let isNew: boolean;
  try {
    isNew = !(await isSame(source, bundle, deps.vault));
    if (isNew) await deps.vault.writeBack(owner, vm.id, source.generation, bundle);
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'vault_conflict')) throw error;
    tellConflict(vm, owner, deps);
    return 'conflict';
  }
  // The fingerprint is older than the bundle: what has changed in between is seen at the next look.
  await deps.vault.note(owner, { fingerprint: held.fingerprint, ...expiryColumn(bundle) });
  await forgetInvalid(one, deps);
  return isNew ? 'stored' : 'unchanged';
}

/** Whether the login in it is the one of the vault. @throws AppError credential_invalid when there is none */
async function isSame(source: CredentialRow, bundle: CredentialBundle, vault: Vault): Promise<boolean> {
  const own = judgeBundle(source.provider, bundle).bundle;
  try {
    return JSON.stringify(await vault.read(source)) === JSON.stringify(own);
  } catch (error) {
    // Sealed under a key that is lost, or by a version that knew the files otherwise: what the VM holds brings it back.
    if (error instanceof AppError && (error.code === 'vault_key_invalid' || error.code === 'credential_invalid'))
      return false;
    throw error;
  }
}

/** What is no credential, in the VM or in the vault, is no reason to leave the others alone. The person reads it beside this one. */
async function tellInvalid(
  { vm, owner, custody }: Case,
  error: unknown,
  { vault, log }: TendDeps,
): Promise<'conflict'> {
  if (!(error instanceof AppError && error.code === 'credential_invalid')) throw error;
  if (custody?.error?.message === error.message) return 'conflict';
  const { code, message: reason } = error;
  log.warn(
    { vmId: vm.id, provider: owner.provider, code, reason },
    'what is no credential is neither stored nor delivered',
  );
  await vault.note(owner, { error: error.toBody() });
  return 'conflict';
}

/** What the person was told at a look before is over. Of an API key that is still tried its own attempt tells. */
async function forgetInvalid({ owner, custody, rows }: Case, { vault }: TendDeps): Promise<void> {
  const isOver = custody?.error?.code === 'credential_invalid' && !rows.some(({ state }) => state === 'staged');
  if (isOver) await vault.note(owner, { error: null });
}

function tellConflict(vm: VmRow, { provider }: Owner, { log }: TendDeps): void {
  log.warn(
    { vmId: vm.id, provider, code: 'vault_conflict' },
    'a CLI has changed a credential that is not the newest; the vault keeps the newest one',
  );
}

/** Delivers `row` to the VM. What the VM held before is overwritten: pull it first. */
export async function give(
  { vm, guest, custody }: { vm: Pick<VmRow, 'id'>; guest: JsonClient; custody: CustodyRow | undefined },
  row: CredentialRow,
  { vault }: Pick<TendDeps, 'vault'>,
): Promise<void> {
  const body = await vault.read(row);
  const { generation } = row;
  const other = custody?.holderVmId !== vm.id;
  // Before the first byte: whoever finds this knows that the files may be of either.
  await vault.note(row, {
    ...(other && { deliveredAs: null, deliveredGeneration: null, lookError: '' }),
    ...{ holderVmId: vm.id, delivering: generation, confirmed: false, fingerprint: null },
  });
  await guest.call('PUT', `/credentials/${row.provider}?generation=${generation}`, null, { body });
  await vault.note(row, {
    ...{ deliveredAs: generation, deliveredGeneration: generation, delivering: null },
    ...expiryColumn(body),
  });
}

function expiryColumn(bundle: CredentialBundle): { expiresAt: Date | null } {
  const expiry = expiryOf(bundle);
  return { expiresAt: expiry ? new Date(expiry.expiresAt) : null };
}
