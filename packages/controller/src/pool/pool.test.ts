/** How many VMs wait, which are given up, and who gets one. What a VM is, is a stand-in's. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import { exampleVm } from '../vm/testing.js';
import type { VmRow, WaitingVm } from '../vm/vm.js';
import { createPool, type Pool } from './pool.js';

const claim = { userId: 'usr_0123456789abcdef', sessionId: newId('ses') };
/** On a machine that may be busy. */
const patient = { timeout: 10_000 };
const hours = (n: number): number => n * 3_600_000;

let all: WaitingVm[];
let given: string[];
let made: number;
let busy: boolean;
let failure: AppError | undefined;
/** What giving the VM with this id comes to. */
let giving: Map<string, 'taken' | AppError>;
let log: string[];
let pool: Pool;

function vm(change: Partial<VmRow> & { fits?: boolean } = {}): WaitingVm {
  const { fits = true, ...row } = change;
  return { row: { ...exampleVm(''), userId: null, state: 'waiting', ...row }, fits };
}

function open(size: number): void {
  pool = createPool({
    settings: { AIRLOCK_POOL: size },
    isBusy: async () => busy,
    lookMs: 1,
    log: pino({}, { write: (line) => void log.push(line) }),
    vms: {
      waiting: async () => [...all],
      async createWaiting() {
        if (failure) throw failure;
        made += 1;
        const { row } = vm({ state: 'starting' });
        all.push({ row, fits: true });
        return row;
      },
      async assign(vmId) {
        const outcome = giving.get(vmId);
        if (outcome instanceof AppError) throw outcome;
        const found = all.find(({ row }) => row.id === vmId);
        if (!found || outcome === 'taken') return undefined;
        all.splice(all.indexOf(found), 1);
        given.push(vmId);
        return { ...found.row, ...claim };
      },
      async dropWaiting(vmId) {
        all = all.filter(({ row }) => row.id !== vmId);
        return true;
      },
    },
  });
  pool.begin();
}

const comesUp = (): void => all.forEach(({ row }) => (row.state = 'waiting'));
const idle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

beforeEach(() => {
  [all, given, made, busy, failure, giving, log] = [[], [], 0, false, undefined, new Map(), []];
});
afterEach(() => pool.close());

describe('as many wait as the settings say', () => {
  it('made one after the other', async () => {
    open(2);
    await expect.poll(() => made, patient).toBe(1);
    await idle();
    expect(made).toBe(1);
    comesUp();
    await expect.poll(() => made, patient).toBe(2);
    comesUp();
    await idle();
    expect(made).toBe(2);
  });

  it('none is made while somebody waits for a desktop', async () => {
    busy = true;
    open(1);
    await idle();
    expect(made).toBe(0);
    busy = false;
    await expect.poll(() => made, patient).toBe(1);
  });

  it('none, which ends those of before', async () => {
    all = [vm(), vm()];
    open(0);
    await expect.poll(() => all, patient).toEqual([]);
    expect(made).toBe(0);
  });

  it.each([
    ['another image or other settings', vm({ fits: false })],
    ['half a day', vm({ createdAt: new Date(Date.now() - hours(13)) })],
  ])('another one after %s', async (_what, old) => {
    all = [old];
    open(1);
    await expect.poll(() => made, patient).toBe(1);
    expect(all.map(({ row }) => row.id)).not.toContain(old.row.id);
  });

  it('as soon as there is room, which is said once', async () => {
    failure = new AppError('capacity_exhausted', 'No memory.');
    open(1);
    await idle();
    expect(log.filter((line) => line.includes('No memory.'))).toHaveLength(1);
    failure = undefined;
    await expect.poll(() => made, patient).toBe(1);
  });
});

describe('a sign-in gets', () => {
  it('the oldest that waits', async () => {
    all = [vm({ state: 'starting' }), vm(), vm()];
    const oldest = all[1]?.row.id ?? '';
    busy = true;
    open(3);
    expect(await pool.take(claim)).toMatchObject({ id: oldest, ...claim });
    expect(given).toEqual([oldest]);
  });

  it('none where all are on their way, or are of before', async () => {
    all = [vm({ state: 'starting' }), vm({ fits: false })];
    busy = true;
    open(2);
    expect(await pool.take(claim)).toBeUndefined();
  });

  it('the next one when the first is taken meanwhile, or cannot be given', async () => {
    all = [vm(), vm(), vm()];
    busy = true;
    open(3);
    const [first = '', second = '', third] = all.map(({ row }) => row.id);
    giving = new Map<string, 'taken' | AppError>([
      [first, 'taken'],
      [second, new AppError('vm_lost', 'Its browser has gone.')],
    ]);
    expect(await pool.take(claim)).toMatchObject({ id: third });
    expect(log.join()).toContain('Its browser has gone.');
  });

  it('no other one where this host has no room for the rest of the sign-in', async () => {
    all = [vm(), vm()];
    busy = true;
    open(2);
    giving.set(all[0]?.row.id ?? '', new AppError('disk_full', 'No room for a CLI VM.'));
    await expect(pool.take(claim)).rejects.toMatchObject({ code: 'disk_full' });
    expect(given).toEqual([]);
  });
});
