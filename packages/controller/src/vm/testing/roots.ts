/** For tests: VMs whose roots are replaced, on real rows; an engine without VMs. */
import { beforeEach, expect, vi } from 'vitest';
import { raceAbort } from '@airlock/contract/deadline';
import { newId } from '@airlock/contract/ids';
import { noTimings } from '../rows.js';
import { vms as table, type RootUpdate } from '../table.js';
import { useVms, type TestVms } from '../testing.js';
import type { VmRow } from '../vm.js';

export const older = 'img_000000';
export const newer = 'img_000001';
/** Looks at the rows that take the sweep and the updater several turns each. */
const manyLooks = 40;

interface TestRoots {
  host: TestVms;
  /** What the CLIs say of their logins. */
  clis: { proof: () => Promise<void> };
  /** A CLI VM that stands still: by default with a root of its own, number 1. */
  still(values?: Partial<VmRow>): Promise<VmRow>;
  row(vm: Pick<VmRow, 'id'>): Promise<VmRow>;
  expectRow(vm: Pick<VmRow, 'id'>, wanted: object): Promise<void>;
  /** Resolves when whatever is done in turns has had many of them since the call. */
  manyTurns(): Promise<void>;
}

/** For a test file; everything but the database is new before each test, and `newer` is the current image. */
export function useRoots(): TestRoots {
  const clis = { proof: async (): Promise<void> => undefined };
  const host = useVms(
    { AIRLOCK_CLI_UPDATE: 'manual' },
    {
      starting: async () => undefined,
      ready: async () => undefined,
      proved: (_row, { signal }) => raceAbort(clis.proof(), signal),
      ending: async () => undefined,
    },
  );
  const row = async ({ id }: Pick<VmRow, 'id'>): Promise<VmRow> => (await host.vms.get(id)) as VmRow;
  beforeEach(() => {
    clis.proof = async () => undefined;
    host.imageId = newer;
  });
  return {
    ...{ host, clis, row },
    async still(values = {}) {
      const id = newId('vm');
      await host.homeKeys.sealHomeKey(id);
      const vm = { id, userId: host.userId, kind: 'cli', state: 'stopped', imageId: older, accel: 'tcg' } as const;
      await host.database.store.db.insert(table).values({ ...vm, timings: noTimings, rootNumber: 1, ...values });
      return row({ id });
    },
    async expectRow(vm, wanted) {
      await expect.poll(() => row(vm), { timeout: 5000 }).toMatchObject(wanted);
    },
    async manyTurns() {
      const looks = vi.spyOn(host.database.store.db, 'select');
      await expect.poll(() => looks.mock.calls.length, { timeout: 20_000 }).toBeGreaterThan(manyLooks);
      looks.mockRestore();
    },
  };
}

/** A replacement of a root that is under way. */
export const underWay = (values: Partial<RootUpdate>): RootUpdate => ({
  ...{ kind: 'update', state: 'waiting', now: false, run: false, from: null, to: null, broken: 0 },
  ...{ since: Date.now(), error: null, ...values },
});
