/** New settings for a running VM: what its gateway and its agent are told of them. Both are stand-ins. */
import { expect, it } from 'vitest';
import { pino } from 'pino';
import { AppError } from '@airlock/contract/errors';
import type { RunnerStatus, VmSettings } from '@airlock/contract/runner';
import { handlersOf } from './handlers.js';
import type { Life } from './life.js';

const settings: VmSettings = {
  ...{ timezone: 'Asia/Tokyo', extraCaPem: 'PEM', directHosts: ['.example'] },
  upstream: { url: 'http://u:canary@h:1', trialHosts: ['login.example'] },
};

interface Told {
  /** In order: what gateway and agent were told, and when the status was to be looked at anew. */
  calls: string[];
  log: string;
}

/** A VM in `phase` whose way out and configuration are news, or not. */
function vmIn(phase: RunnerStatus['phase'], news: { route: boolean; guest: boolean | AppError }): [Life, Told] {
  const told: Told = { calls: [], log: '' };
  const note = (call: string, with_?: unknown): void => void told.calls.push(`${call} ${JSON.stringify(with_)}`);
  const gateway = {
    reroute: (next: unknown) => (note('reroute', next), news.route),
    tryUpstream: async (hosts: unknown) => note('try', hosts),
  };
  const configuration = {
    async apply({ timezone, extraCaPem }: VmSettings) {
      note('apply', [timezone, extraCaPem]);
      if (news.guest instanceof AppError) throw news.guest;
      return news.guest;
    },
  };
  const { signal } = new AbortController();
  const life = {
    ...{ spec: {}, parts: { gateway }, configuration, stop: { requested: signal }, trouble: new AbortController() },
    status: { current: () => ({ phase }), update: () => note('status') },
    log: pino({}, { write: (line) => void (told.log += line) }),
  };
  return [life as unknown as Life, told];
}

const route = `reroute ${JSON.stringify({ upstreamUrl: settings.upstream?.url, directHosts: settings.directHosts })}`;
const way = [route, 'status undefined', 'try ["login.example"]'];
const guest = 'apply ["Asia/Tokyo","PEM"]';

it.each([
  ['all of them', { route: true, guest: true }, [...way, guest], true],
  ['only of the way out', { route: true, guest: false }, [...way, guest], true],
  ['only of the guest', { route: false, guest: true }, [route, guest], true],
  ['none', { route: false, guest: false }, [route, guest], false],
])('are news: %s', async (_what, news, calls, changed) => {
  const [life, told] = vmIn('ready', news);
  expect(await handlersOf(life).configure(settings)).toEqual({ changed });
  expect(told.calls).toEqual(calls);
  expect(told.log).not.toContain('canary');
  expect(told.log.includes('new settings')).toBe(changed);
});

it('are in force on the way out when the agent does not take them', async () => {
  const [life, told] = vmIn('ready', { route: true, guest: new AppError('guest_unreachable', 'It is gone.') });
  await expect(handlersOf(life).configure(settings)).rejects.toMatchObject({ code: 'guest_unreachable' });
  expect(told.calls).toEqual([...way, guest]);
});

it('name the hosts that may be on private networks, where there are some', async () => {
  const [life, told] = vmIn('ready', { route: false, guest: false });
  await handlersOf(life).configure({ ...settings, upstream: null, allowedPrivateHosts: ['sso.corp'] });
  expect(told.calls[0]).toBe(
    'reroute {"upstreamUrl":null,"directHosts":[".example"],"allowedPrivateHosts":["sso.corp"]}',
  );
});

it('without an upstream send everything out directly', async () => {
  const [life, told] = vmIn('configured', { route: true, guest: false });
  await handlersOf(life).configure({ ...settings, upstream: null });
  expect(told.calls.slice(0, 3)).toEqual([
    'reroute {"upstreamUrl":null,"directHosts":[".example"]}',
    ...['status undefined', 'try []'],
  ]);
});

it.each(['starting', 'booting', 'stopping', 'stopped', 'failed'] as const)(
  'are refused while it is %s',
  async (phase) => {
    const [life, told] = vmIn(phase, { route: true, guest: true });
    await expect(handlersOf(life).configure(settings)).rejects.toMatchObject({ code: 'vm_not_running' });
    expect(told.calls).toEqual([]);
  },
);
