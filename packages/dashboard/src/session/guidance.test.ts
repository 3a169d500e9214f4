import { providers } from '@airlock/contract/provider/registry';
import {
  sessionStatuses,
  sessionSteps,
  type Session,
  type SessionStatus,
  type SessionStep,
  type StepName,
} from '@airlock/contract/session';
import { describe, expect, it } from 'vitest';
import {
  canExtend,
  currentStep,
  guide,
  hasFailedTry,
  isUrgent,
  progress,
  remainingMs,
  stepElapsedMs,
} from './guidance.js';

const startMs = Date.UTC(2026, 4, 14, 12);
const iso = (afterMs: number) => new Date(startMs + afterMs).toISOString();

function step(name: StepName, status: SessionStep['status'], times: Partial<SessionStep> = {}): SessionStep {
  return { name, title: sessionSteps[name], status, startedAt: null, finishedAt: null, detail: null, ...times };
}

function session(status: SessionStatus, changes: Partial<Session> = {}): Session {
  return {
    id: 'ses_0123456789abcdef',
    sessionId: 'ses_0123456789abcdef',
    provider: 'codex',
    status,
    revision: 3,
    createdAt: iso(0),
    updatedAt: iso(0),
    deadlineAt: null,
    expiresAt: null,
    expiresAtMost: null,
    destroyAt: null,
    browserVmId: null,
    cliVmId: null,
    desktopReady: false,
    steps: [],
    login: null,
    notice: null,
    error: null,
    ...changes,
  };
}

describe('guide', () => {
  it.each(sessionStatuses)('has a title and one next step for %s', (status) => {
    const { title, sentence } = guide(session(status), providers.codex);
    expect(title).not.toBe('');
    expect(sentence).toMatch(/[.]$/);
  });

  it('says why a login has begun again by itself, and nothing of an earlier try that the person repeated', () => {
    const login = { method: 'browser', deviceCode: null, takesCode: false } as const;
    const notice = { code: 'login_repeated', message: 'It waited.', hint: '' } as const;
    const again = session('awaiting_user_auth', { login, notice, desktopReady: true });
    expect(guide(again, providers.codex).sentence).toMatch(/^It waited\. Sign in to OpenAI/);
    const other = { ...again, notice: { ...notice, code: 'login_failed' } } as const;
    expect(guide(other, providers.codex).sentence).toMatch(/^Sign in to OpenAI/);
  });

  it('sends the person to the browser window only once it can be seen', () => {
    const seen = guide(session('awaiting_user_auth', { desktopReady: true }), providers.codex);
    expect(seen.sentence).toMatch(/Sign in to OpenAI in the browser window below/);
    expect(guide(session('awaiting_user_auth'), providers.codex).sentence).toMatch(/appears here in a moment/);
  });

  it('tells of a try that failed, and where to type a code', () => {
    const notice = { code: 'proof_failed' as const, message: 'No.', hint: '' };
    const failed = session('awaiting_user_auth', { desktopReady: true, notice });
    expect(hasFailedTry(failed)).toBe(true);
    expect(guide(failed, providers.codex).title).toBe('That did not work');
    const asks = { ...failed, notice: { ...notice, code: 'setting_needed' as const } };
    expect(guide(asks, providers.gemini_cli).title).toBe('One thing is missing');
    const login = { method: 'device_code' as const, deviceCode: null, takesCode: false };
    expect(hasFailedTry({ ...failed, login })).toBe(false);
    expect(guide({ ...failed, login }, providers.codex).sentence).toMatch(/on any device.*type the code below/);
    expect(guide({ ...failed, login: { ...login, takesCode: true } }, providers.codex).sentence).toMatch(
      /paste the code/,
    );
  });

  it('sends the person to their own browser, until the CLI has the address', () => {
    const login = { method: 'callback', deviceCode: null, takesCode: true } as const;
    const own = session('awaiting_user_auth', { desktopReady: true, login });
    expect(guide(own, providers.codex).sentence).toMatch(/OpenAI in your own browser, and paste the address/);
    const given = { ...own, login: { ...login, takesCode: false } };
    expect(guide(given, providers.codex).sentence).toMatch(/^Codex has the address/);
  });

  it('says that the CLI VM is ready at the end', () => {
    expect(guide(session('completed'), providers.codex)).toEqual({
      title: 'Codex is connected',
      sentence: 'Your CLI VM is ready.',
    });
  });
});

describe('currentStep', () => {
  it.each<[string, SessionStep[], StepName | null]>([
    ['nothing has started', [step('browser_vm', 'waiting')], null],
    ['one step runs', [step('browser_vm', 'done'), step('desktop', 'running')], 'desktop'],
    ['two run side by side', [step('person', 'running'), step('cli_vm', 'running')], 'cli_vm'],
    ['one failed', [step('desktop', 'failed'), step('cli_vm', 'running')], 'desktop'],
    ['all are done', [step('browser_vm', 'done')], null],
  ])('when %s', (_case, steps, name) => expect(currentStep(steps)?.name ?? null).toBe(name));
});

describe('progress', () => {
  it('counts what is over', () => {
    const steps = [step('browser_vm', 'done'), step('desktop', 'skipped'), step('person', 'running')];
    expect(progress(steps)).toEqual({ done: 2, total: 3 });
  });
});

describe('stepElapsedMs', () => {
  it.each<[SessionStep, number | null]>([
    [step('desktop', 'waiting'), null],
    [step('desktop', 'running', { startedAt: iso(0) }), 9000],
    [step('desktop', 'done', { startedAt: iso(1000), finishedAt: iso(4500) }), 3500],
    [step('desktop', 'skipped', { finishedAt: iso(0) }), null],
  ])('of %j is %s', (one, elapsedMs) => expect(stepElapsedMs(one, startMs + 9000)).toBe(elapsedMs));
});

describe('remainingMs', () => {
  it.each<[Session, number | null]>([
    [session('pending'), null],
    [session('awaiting_user_auth', { expiresAt: iso(300_000) }), 290_000],
    [session('awaiting_user_auth', { expiresAt: iso(0) }), -10_000],
    [session('completed', { expiresAt: iso(300_000) }), null],
  ])('of %j is %s', (one, remaining) => expect(remainingMs(one, startMs + 10_000)).toBe(remaining));

  it.each<[string, string | null, boolean]>([
    ['more can be had', iso(600_000), true],
    ['all has been given', iso(300_000), false],
    ['no clock runs', null, false],
  ])('can be prolonged when %s: %s', (_case, expiresAtMost, expected) => {
    expect(canExtend(session('awaiting_user_auth', { expiresAt: iso(300_000), expiresAtMost }))).toBe(expected);
  });

  it('is urgent in the last minute', () => {
    expect([60_001, 60_000, 0].map(isUrgent)).toEqual([false, true, true]);
  });
});
