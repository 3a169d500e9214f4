/** Credentials as the API shows them. Pure: nothing sealed is opened for it. */
import type { CredentialSummary } from '@airlock/contract/api';
import type { VmRow } from '../vm/vm.js';
import type { CredentialRow, CustodyRow } from '../vault/vault.js';

/** `vms`: of the same user. */
export function summaries(
  rows: readonly CredentialRow[],
  custody: readonly CustodyRow[],
  vms: readonly VmRow[],
): CredentialSummary[] {
  const living = new Map(
    vms.filter(({ state }) => state !== 'failed' && state !== 'destroyed').map((vm) => [vm.id, vm]),
  );
  const stored = rows.map((row) => summary(row, custodyOf(row, custody), living));
  const removing = custody
    .filter(
      ({ provider, holderVmId }) => living.has(holderVmId ?? '') && !rows.some((row) => row.provider === provider),
    )
    .map((held) => removal(held));
  return [...stored, ...removing].sort((a, b) => a.provider.localeCompare(b.provider) || b.generation - a.generation);
}

const custodyOf = (row: CredentialRow, custody: readonly CustodyRow[]): CustodyRow | undefined =>
  custody.find(({ provider }) => provider === row.provider);

function summary(
  row: CredentialRow,
  held: CustodyRow | undefined,
  living: ReadonlyMap<string, VmRow>,
): CredentialSummary {
  const holds = held?.deliveredGeneration === row.generation ? held : undefined;
  const holder = living.get(holds?.holderVmId ?? '');
  return {
    provider: row.provider,
    generation: row.generation,
    state: row.state,
    method: row.method,
    updatedAt: row.updatedAt.toISOString(),
    ...healthOf(row.state === 'active' ? held : undefined),
    holderVmId: holder?.id ?? null,
    ...copyOf(holder, holds),
    error: held?.error ?? null,
  };
}

type Health = Pick<CredentialSummary, 'health' | 'healthReason' | 'lastCheckedAt' | 'expiresAt'>;

/** Health is of the active one: nothing is known yet of a staged one. */
function healthOf(held: CustodyRow | undefined): Health {
  if (!held) return { health: 'unknown', healthReason: '', lastCheckedAt: null, expiresAt: null };
  const { health, healthReason, checkedAt, expiresAt } = held;
  const iso = (date: Date | null): string | null => date?.toISOString() ?? null;
  return { health, healthReason, lastCheckedAt: iso(checkedAt), expiresAt: iso(expiresAt) };
}

/** `held`: where that is of the vault's generation. A VM that is gone may have taken with it what nobody could read any more. */
function copyOf(
  holder: VmRow | undefined,
  held: CustodyRow | undefined,
): Pick<CredentialSummary, 'copy' | 'copyReason'> {
  if (held && holder?.state === 'running') return { copy: 'in_use', copyReason: held.lookError };
  if (!held || held.confirmed) return { copy: 'newest', copyReason: '' };
  return { copy: 'unconfirmed', copyReason: held.lookError || 'Its CLI VM ended without a last look.' };
}

function removal(held: CustodyRow): CredentialSummary {
  return {
    provider: held.provider,
    generation: held.lastGeneration,
    state: 'removing',
    method: 'login',
    updatedAt: (held.checkedAt ?? new Date(0)).toISOString(),
    health: 'unknown',
    healthReason: 'It is removed from the CLI VM at its next start.',
    lastCheckedAt: null,
    expiresAt: null,
    holderVmId: held.holderVmId,
    copy: 'newest',
    copyReason: '',
    error: held.error,
  };
}
