/** A VM that waits is given to one session, once; what goes wrong ends it. VMM, gateway and agent are stand-ins. */
import { describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { AppError } from '@airlock/contract/errors';
import type { GuestHealth } from '@airlock/contract/guest';
import type { AssignRequest, RunnerStatus } from '@airlock/contract/runner';
import { assign } from './assignment.js';
import { handlersOf } from './handlers.js';
import type { Life } from './life.js';

const request: AssignRequest = {
  sessionId: 'ses_0123456789abcdef',
  settings: {
    ...{ timezone: 'Asia/Tokyo', extraCaPem: null, directHosts: [] },
    upstream: { url: 'http://u:canary@h:1', trialHosts: ['login.example'] },
  },
};

interface Change {
  phase?: RunnerStatus['phase'];
  /** What fails, by its name in the calls. */
  fails?: string;
  ready?: boolean;
}

/** A VM, what was done to it in order, and what its log says. */
function vmWith({ phase = 'waiting', fails, ready = true }: Change = {}) {
  const calls: string[] = [];
  const log: string[] = [];
  const status = { phase, readyAt: 1 };
  const ended = new AbortController();
  const step = async (name: string): Promise<void> => {
    calls.push(name);
    if (name === fails) throw new AppError('guest_unreachable', `${name} failed.`);
  };
  const health = { ready, error: null, desktop: { browser: ready } } as unknown as GuestHealth;
  const life = {
    ...{ spec: { waits: true }, stop: { requested: ended.signal }, trouble: new AbortController() },
    vm: { vmm: { resume: () => step('resume') } },
    parts: {
      gateway: { reroute: (to: object) => calls.push(JSON.stringify(to)), tryUpstream: async () => calls.push('try') },
    },
    configuration: { assign: (sessionId: string) => step(`assign ${sessionId}`) },
    agent: {
      health: () => step('health').then(() => health),
      // As long as the VM: it is asked until then.
      clock: (signal: AbortSignal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal))),
    },
    status: { current: () => status, update: (next: object) => Object.assign(status, next) },
    log: pino({}, { write: (line) => void log.push(line) }),
  } as unknown as Life;
  const end = (): void => ended.abort(new Error('the test is over'));
  return { life, calls, status, log, end };
}

const way = JSON.stringify({ upstreamUrl: request.settings.upstream?.url, directHosts: [] });
const all = ['resume', way, 'try', `assign ${request.sessionId}`, 'health'];

it('runs on, reaches what the session may, takes its settings, and is looked at', async () => {
  const { life, calls, log, end } = vmWith();
  expect(await assign(life, request)).toMatchObject({ phase: 'ready' });
  expect(calls).toEqual(all);
  expect(life.trouble.signal.aborted).toBe(false);
  expect(log.join()).toContain(request.sessionId);
  expect(log.join()).not.toContain('canary');
  end();
});

it('is given once, whoever asks at the same time, or later', async () => {
  const { life, calls, end } = vmWith();
  const both = await Promise.allSettled([assign(life, request), assign(life, request)]);
  const refused = { status: 'rejected', reason: expect.objectContaining({ code: 'vm_not_waiting' }) as unknown };
  expect(both).toMatchObject([{ status: 'fulfilled' }, refused]);
  await expect(assign(life, request)).rejects.toMatchObject({ code: 'vm_not_waiting' });
  expect(calls).toEqual(all);
  expect(life.trouble.signal.aborted).toBe(false);
  end();
});

it.each(['starting', 'booting', 'configured', 'ready', 'stopping', 'failed'] as const)(
  'is not given while it is %s, and nothing happens to it',
  async (phase) => {
    const { life, calls, status } = vmWith({ phase });
    await expect(assign(life, request)).rejects.toMatchObject({ code: 'vm_not_waiting' });
    expect([calls, status.phase, life.trouble.signal.aborted]).toEqual([[], phase, false]);
  },
);

it.each(['resume', `assign ${request.sessionId}`, 'health'])('ends when this fails: %s', async (fails) => {
  const { life, status } = vmWith({ fails });
  await expect(assign(life, request)).rejects.toMatchObject({ code: 'guest_unreachable' });
  expect(life.trouble.signal.reason).toMatchObject({ code: 'guest_unreachable' });
  expect(status.phase).not.toBe('ready');
});

it('ends when it is not as it was: its browser has gone', async () => {
  const { life } = vmWith({ ready: false });
  await expect(assign(life, request)).rejects.toMatchObject({
    code: 'vm_lost',
    details: { health: expect.any(String) },
  });
  expect(life.trouble.signal.reason).toMatchObject({ code: 'vm_lost' });
});

describe('while it waits, or is on its way there,', () => {
  it.each([
    ['waiting', 1],
    ['configured', null],
  ] as const)('(%s) it takes no settings, and passes nothing on', async (phase, readyAt) => {
    const { life, calls, status } = vmWith({ phase });
    Object.assign(status, { readyAt });
    const { configure, guest } = handlersOf(life);
    await expect(configure(request.settings)).rejects.toMatchObject({ code: 'vm_not_running' });
    await expect(guest({} as never, {} as never, '/health')).rejects.toMatchObject({ code: 'vm_not_running' });
    expect(calls).toEqual([]);
  });
});
