import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identifyProcess } from '@airlock/contract/process';
import type { ProcessIdentity, RunnerStatus } from '@airlock/contract/runner';
import { openBoundedLog } from './bounded-log.js';
import { claim } from './claim.js';
import { createCleanup } from './cleanup.js';
import { createStatusStore } from './status.js';
import { createStopSwitch } from './stop.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-runner-lib-'));
});
afterEach(() => rm(folder, { recursive: true }));

function fail(error: unknown): never {
  throw error;
}

describe('a bounded log', () => {
  it('keeps the first and the last lines within its limit', async () => {
    const path = join(folder, 'serial.log');
    const log = await openBoundedLog(path, fail, { limit: 4000 });
    for (let line = 0; line < 5000; line += 1) log.write(Buffer.from(`line ${line}\n`));
    expect(log.lastLines(2)).toBe('line 4998\nline 4999');
    await log.close();
    const text = await readFile(path, 'utf8');
    expect((await stat(path)).size).toBeLessThanOrEqual(4000);
    expect(text).toMatch(/^line 0\nline 1\n/);
    expect(text).toMatch(/\[\.\.\. \d+ bytes left out \.\.\.\]/);
    expect(text).toMatch(/line 4998\nline 4999\n$/);
  });

  it('goes on within its limit after what was there before, and leaves what others append', async () => {
    const path = join(folder, 'runner.log');
    await writeFile(path, `begin\n${'earlier\n'.repeat(1000)}`);
    const log = await openBoundedLog(path, fail, { limit: 4000, append: true });
    log.write(Buffer.from('first\n'));
    await log.close();
    await appendFile(path, 'the runtime itself\n');
    const again = await openBoundedLog(path, fail, { limit: 4000, append: true });
    again.write(Buffer.from('second\n'));
    await again.close();
    const text = await readFile(path, 'utf8');
    expect(text.length).toBeLessThanOrEqual(4000);
    expect(text).toMatch(/^begin\nearlier\n/);
    expect(text).toMatch(/earlier\nfirst\nthe runtime itself\nsecond\n$/);
  });

  it('shows lines without escape sequences', async () => {
    const log = await openBoundedLog(join(folder, 'serial.log'), fail);
    log.write(Buffer.from('\u001b[0;1;38:5:185mFailed\u001b[0m\r\n[\u001b[0;32m  OK  \u001b[0m] Started\r\n\r\n'));
    expect(log.lastLines(5)).toBe('Failed\n[  OK  ] Started');
    await log.close();
  });
});

describe('a claim', () => {
  const dead: ProcessIdentity = { pid: 1, startTicks: 1, bootId: 'another boot' };
  const own = async (): Promise<ProcessIdentity> => (await identifyProcess(process.pid)) ?? fail(new Error('no /proc'));
  const path = (): string => join(folder, 'runner.lock');
  const refusal = { code: 'runner_claim_refused' };

  it('is taken once', async () => {
    await claim(path(), 1, await own());
    await expect(claim(path(), 2, await own())).rejects.toMatchObject(refusal);
    expect(await readdir(folder)).toEqual(['runner.lock']);
  });

  it('is taken over from the dead, but not by an older epoch', async () => {
    await claim(path(), 5, dead);
    await expect(claim(path(), 4, await own())).rejects.toMatchObject(refusal);
    await claim(path(), 5, { ...dead, pid: 2 });
    await claim(path(), 6, await own());
    expect(JSON.parse(await readFile(path(), 'utf8'))).toMatchObject({ epoch: 6, owner: { pid: process.pid } });
    expect(await readdir(folder)).toEqual(['runner.lock']);
  });

  it('that was cut short protects nobody', async () => {
    await writeFile(path(), '{"epoch":');
    await claim(path(), 1, await own());
    expect(JSON.parse(await readFile(path(), 'utf8'))).toMatchObject({ epoch: 1 });
  });

  it('is not kept out by a crash in the middle of another', async () => {
    await mkdir(`${path()}.gate`);
    await expect(claim(path(), 1, await own())).rejects.toMatchObject(refusal);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(`${path()}.gate`, longAgo, longAgo);
    await claim(path(), 1, await own());
    expect(await readdir(folder)).toEqual(['runner.lock']);
  });

  it('has one winner among many', async () => {
    await claim(path(), 1, dead);
    const { bootId, startTicks } = await own();
    const tries = Array.from({ length: 8 }, () => claim(path(), 2, { pid: process.pid, startTicks, bootId }));
    const results = await Promise.allSettled(tries);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  });
});

it('cleans up in reverse order, whatever fails', async () => {
  const done: string[] = [];
  const cleanup = createCleanup((what) => done.push(`${what} failed`));
  cleanup.add('first', () => void done.push('first'));
  cleanup.add('second', () => Promise.reject(new Error('no')));
  cleanup.add('third', () => void done.push('third'));
  await cleanup.run();
  await cleanup.run();
  expect(done).toEqual(['third', 'second failed', 'first']);
});

describe('the status', () => {
  const egress: RunnerStatus['egress'] = { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null };
  const times = { startedAt: 1, poweredOnAt: null, vncAt: null, agentAt: null, readyAt: null };
  const initial: RunnerStatus = {
    ...{ vmId: 'vm_0123456789abcdef', epoch: 1, revision: 0, phase: 'starting', vmm: null, error: null },
    ...{ runner: { pid: 1, startTicks: 1, bootId: 'b' }, egress, ...times },
  };
  const open = () =>
    createStatusStore({
      path: join(folder, 'status.json'),
      initial,
      egress: () => ({ ...egress, connections: 7 }),
      onError: fail,
    });

  it('is written on each change, with fresh counters', async () => {
    const store = open();
    store.update({ phase: 'booting', poweredOnAt: 2 });
    store.update({ phase: 'ready', readyAt: 3 });
    await store.flush();
    const written: unknown = JSON.parse(await readFile(join(folder, 'status.json'), 'utf8'));
    expect(written).toEqual(store.current());
    expect(written).toMatchObject({
      revision: 2,
      phase: 'ready',
      poweredOnAt: 2,
      readyAt: 3,
      egress: { connections: 7 },
    });
    expect(await readdir(folder)).toEqual(['status.json']);
  });

  it('wakes those who wait for a change, and lets the others go in time', async () => {
    const store = open();
    const waiting = [store.waitAfter(0, 10_000), store.waitAfter(1, 50)];
    expect(await store.waitAfter(-1, 10_000)).toMatchObject({ revision: 0 });
    store.update({ phase: 'booting' });
    expect(await Promise.all(waiting)).toMatchObject([{ revision: 1 }, { revision: 1 }]);
    await store.flush();
  });
});

it('a later request to stop can only shorten the grace', () => {
  const stop = createStopSwitch();
  stop.request(60_000);
  expect([stop.requested.aborted, stop.expired.aborted]).toEqual([true, false]);
  stop.request(120_000);
  expect(stop.expired.aborted).toBe(false);
  stop.request(0);
  expect(stop.expired.aborted).toBe(true);
});
