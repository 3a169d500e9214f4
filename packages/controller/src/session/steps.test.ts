import { describe, expect, it } from 'vitest';
import { changeSteps, endSteps, newSteps } from './steps.js';

const early = new Date('2026-01-01T00:00:00Z');
const late = new Date('2026-01-01T00:00:09Z');
const find = (steps: ReturnType<typeof newSteps>, name: string) => steps.find((step) => step.name === name);

describe('session steps', () => {
  it('starts and finishes a step with times, and drops its detail at the end', () => {
    const started = changeSteps(
      newSteps(),
      { start: ['browser_vm'], detail: { name: 'browser_vm', text: 'starting up' } },
      early,
    );
    expect(find(started, 'browser_vm')).toMatchObject({
      status: 'running',
      startedAt: early.toISOString(),
      detail: 'starting up',
    });
    const finished = changeSteps(started, { finish: ['browser_vm'] }, late);
    expect(find(finished, 'browser_vm')).toMatchObject({
      status: 'done',
      startedAt: early.toISOString(),
      finishedAt: late.toISOString(),
      detail: null,
    });
  });

  it('does not move a step back when a resumed session repeats itself', () => {
    const done = changeSteps(newSteps(), { finish: ['login_started'] }, early);
    expect(changeSteps(done, { start: ['login_started'], finish: ['login_started'] }, late)).toEqual(done);
  });

  it('ends running steps as failed and waiting ones as skipped', () => {
    const ended = endSteps(changeSteps(newSteps(), { finish: ['browser_vm'], start: ['desktop'] }, early), late);
    expect(find(ended, 'browser_vm')?.status).toBe('done');
    expect(find(ended, 'desktop')).toMatchObject({ status: 'failed', finishedAt: late.toISOString() });
    expect(find(ended, 'proved')?.status).toBe('skipped');
  });

  it('fails a running step while the session goes on, and takes it back for the next try', () => {
    const failed = changeSteps(
      changeSteps(newSteps(), { finish: ['desktop'], start: ['person'] }, early),
      { fail: ['desktop', 'person', 'sealed'] },
      late,
    );
    expect(['desktop', 'person', 'sealed'].map((name) => find(failed, name)?.status)).toEqual([
      'done',
      'failed',
      'waiting',
    ]);
    const again = changeSteps(failed, { reset: ['person'], start: ['person'] }, late);
    expect(find(again, 'person')).toMatchObject({
      status: 'running',
      startedAt: late.toISOString(),
      finishedAt: null,
    });
  });
});
