/** The list of steps that a page shows, changed only through these pure functions. */
import { sessionSteps, type SessionStep, type StepName } from '@airlock/contract/session';

/** All steps, waiting. */
export function newSteps(): SessionStep[] {
  return Object.entries(sessionSteps).map(([name, title]) => ({
    name: name as StepName,
    title,
    status: 'waiting',
    startedAt: null,
    finishedAt: null,
    detail: null,
  }));
}

/** What happened to steps, by name. */
export interface StepChanges {
  /** Back to waiting: they are about to be done again. Applied before the others. */
  reset?: StepName[];
  /** Running ones have failed, while the session goes on. */
  fail?: StepName[];
  start?: StepName[];
  finish?: StepName[];
  detail?: { name: StepName; text: string };
}

/** `steps` after `changes` at `now`. Starting or finishing a step again changes nothing: a resumed session repeats itself. */
export function changeSteps(steps: readonly SessionStep[], changes: StepChanges, now: Date): SessionStep[] {
  const at = now.toISOString();
  return steps.map((step) => {
    let changed: SessionStep = changes.reset?.includes(step.name)
      ? { ...step, status: 'waiting' as const, startedAt: null, finishedAt: null, detail: null }
      : step;
    if (changes.fail?.includes(step.name) && changed.status === 'running')
      changed = { ...changed, status: 'failed', finishedAt: at, detail: null };
    if (changes.start?.includes(step.name) && changed.status === 'waiting')
      changed = { ...changed, status: 'running', startedAt: at };
    if (changes.detail?.name === step.name && changed.status === 'running')
      changed = { ...changed, detail: changes.detail.text };
    if (changes.finish?.includes(step.name) && (changed.status === 'running' || changed.status === 'waiting')) {
      changed = { ...changed, status: 'done', startedAt: changed.startedAt ?? at, finishedAt: at, detail: null };
    }
    return changed;
  });
}

/** The steps of a session that ends: what was running has failed (or was cut short), what waits is skipped. */
export function endSteps(steps: readonly SessionStep[], now: Date): SessionStep[] {
  return steps.map((step) => {
    if (step.status === 'running') return { ...step, status: 'failed', finishedAt: now.toISOString() };
    return step.status === 'waiting' ? { ...step, status: 'skipped' } : step;
  });
}
