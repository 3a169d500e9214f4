/** Events that race for one VM, as from two controllers at once: what the table allows happens once, and is told once. */
import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { VmState } from '@airlock/contract/api';
import { newId } from '@airlock/contract/ids';
import { addUser, databases, type TestStore } from '../store/testing.js';
import { apply, get, noTimings, removeEnded, type RowContext, type VmChanges } from './rows.js';
import { vms } from './table.js';
import { transitions, vmEvents, type VmEvent } from './transitions.js';

const events = Object.keys(vmEvents) as VmEvent[];
const pairs = VmState.options.flatMap((state) => events.map((event) => [state, event] as const));

type Told = { event: VmEvent; state: VmState };

/** Whether `changes`, in some order, lead from `from` to `to` by the table. */
function isWay(from: VmState, to: VmState, changes: readonly Told[]): boolean {
  if (changes.length === 0) return from === to;
  return changes.some(
    ({ event, state }, at) => transitions[from][event] === state && isWay(state, to, changes.toSpliced(at, 1)),
  );
}

for (const { name, open, skip } of databases) {
  describe.skipIf(skip !== '')(`${name} ${skip}`, { timeout: 60_000 }, () => {
    let database: TestStore;
    let userId: string;
    beforeAll(async () => {
      database = await open();
    }, 120_000);
    afterAll(() => database.close(), 30_000);
    beforeEach(async () => {
      await database.empty();
      userId = newId('usr');
      await addUser(database.store.db, userId);
    });

    async function vmIn(state: VmState): Promise<string> {
      const id = newId('vm');
      const row = { id, userId, kind: 'browser' as const, state, imageId: 'img_000000', accel: 'tcg' as const };
      await database.store.db.insert(vms).values({ ...row, timings: noTimings });
      return id;
    }

    /** A controller, and what its listeners were told. */
    function controller(): { ctx: RowContext; told: Told[] } {
      const changes = new EventEmitter() as VmChanges;
      const told: Told[] = [];
      changes.on('any', ({ state }, event) => told.push({ event, state }));
      return { ctx: { db: database.store.db, changes }, told };
    }

    test('an event that two controllers send twice each is applied once, or not at all, and told once', async () => {
      for (const [state, event] of pairs) {
        const id = await vmIn(state);
        const [one, two] = [controller(), controller()];
        const next = transitions[state][event];
        const results = await Promise.all([one, one, two, two].map(({ ctx }) => apply(ctx, id, event)));
        const applied = results.filter((row) => row !== undefined);
        expect.soft([state, event, applied.map((row) => row.state)]).toEqual([state, event, next ? [next] : []]);
        expect.soft([...one.told, ...two.told]).toEqual(next ? [{ event, state: next }] : []);
        expect((await get(one.ctx, id))?.state).toBe(next ?? state);
      }
    });

    test('of events that race, those that are applied are a way through the table, each told once', async () => {
      const race = fc.record({
        from: fc.constantFrom(...VmState.options),
        sent: fc.array(fc.record({ event: fc.constantFrom(...events), second: fc.boolean() }), { maxLength: 6 }),
      });
      await fc.assert(
        fc.asyncProperty(race, async ({ from, sent }) => {
          const id = await vmIn(from);
          const [one, two] = [controller(), controller()];
          const results = await Promise.all(
            sent.map(async ({ event, second }) => ({ event, row: await apply((second ? two : one).ctx, id, event) })),
          );
          const applied = results.flatMap(({ event, row }) => (row ? [{ event, state: row.state }] : []));
          const told = [...one.told, ...two.told];
          const key = ({ event, state }: Told): string => `${event} ${state}`;
          expect(told.map(key).sort()).toEqual(applied.map(key).sort());
          const end = (await get(one.ctx, id))?.state;
          expect(end !== undefined && isWay(from, end, told)).toBe(true);
        }),
        { numRuns: 100 },
      );
    });

    test('what was handed in with an event that is refused is not written', async () => {
      const id = await vmIn('destroying');
      const { ctx, told } = controller();
      expect(await apply(ctx, id, 'ready', { patch: { readyAt: new Date() } })).toBeUndefined();
      expect(await get(ctx, id)).toMatchObject({ state: 'destroying', readyAt: null });
      expect(told).toEqual([]);
    });

    test.each(['failed', 'removed'] as const)('a VM that has come to its end as %s says when', async (event) => {
      const id = await vmIn(event === 'failed' ? 'running' : 'destroying');
      const before = Date.now();
      const row = await apply(controller().ctx, id, event);
      expect(row?.destroyAt?.getTime()).toBeGreaterThanOrEqual(before);
    });

    test('records of VMs that ended long ago are removed, and nothing of those that have not ended', async () => {
      const { ctx } = controller();
      const day = (number: number): Date => new Date(Date.UTC(2026, 0, number));
      const ids: Record<string, string> = {};
      for (const state of VmState.options) ids[state] = await vmIn(state);
      await database.store.db.update(vms).set({ createdAt: day(1), destroyAt: day(3) });
      expect(await removeEnded(ctx, day(2))).toEqual([]);
      const removed = await removeEnded(ctx, day(4));
      expect(removed.sort()).toEqual([ids['failed'], ids['destroyed']].sort());
      for (const [state, id] of Object.entries(ids)) {
        expect((await get(ctx, id))?.state).toBe(removed.includes(id) ? undefined : state);
      }
    });
  });
}
