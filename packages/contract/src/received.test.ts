import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError, ErrorBody } from './errors.js';
import { GuestCredentials, GuestHealth, LoginStatus } from './guest.js';
import { parseReceived, plainDetails, plainText } from './received.js';
import { RunnerStatus } from './runner.js';

const nul = '\u0000';
const half = '\ud800';

describe('a text of another process', () => {
  it.each([
    ['a NUL', `a${nul}b`, 'a\ufffdb'],
    ['an escape sequence', '\u001b]0;x\u0007', '\ufffd]0;x\ufffd'],
    ['half a character', `${half}x\udc00`, '\ufffdx\ufffd'],
    ['a control character of eight bits', '\u009b1m', '\ufffd1m'],
    ['a whole character of two halves, lines and tabs', '😀\n\tö', '😀\n\tö'],
  ])('with %s can be stored and shown', (_what, text, plain) => expect(plainText(text, 100)).toBe(plain));

  it('is cut to its place, and no character of it into halves', () => {
    expect(plainText('x'.repeat(11), 10)).toBe(`${'x'.repeat(9)}…`);
    expect(plainText('😀'.repeat(10), 4)).toBe('😀\ufffd…');
    expect(plainText('abc', 0)).toBe('');
  });
});

describe('JSON of another process', () => {
  it('is what JSON.parse makes of it', () =>
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(parseReceived(text)).toEqual(JSON.parse(text));
      }),
    ));

  it.each([
    ['[', ']'],
    ['{"a":', '}'],
  ])('that nests too deep with %s is refused before it is made', (open, close) => {
    const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
    expect(() => parseReceived(deep)).toThrow(/nests deeper/);
  });

  it('may hold brackets in its texts', () => {
    const text = JSON.stringify({ a: `${'['.repeat(1000)}"\\` });
    expect(parseReceived(text)).toEqual(JSON.parse(text));
    expect(() => parseReceived('"a')).toThrow(SyntaxError);
  });
});

describe('an error that holds the words of a guest', () => {
  const huge = 'y'.repeat(2_000_000);
  const endless = { lastLog: `${nul}${huge}`, [huge]: 1, many: Array.from({ length: 10_000 }, () => ({ a: ['x'] })) };

  it.each([
    [
      'as it was received',
      () => ErrorBody.parse({ code: 'internal', message: `${nul}${huge}`, hint: huge, details: endless }),
    ],
    [
      'as one was made of it',
      () => new AppError('internal', `${nul}${huge}`, { hint: huge, details: endless }).toBody(),
    ],
    [
      'as another process answered it',
      () =>
        AppError.fromAnswer(
          JSON.stringify({ error: { code: 'internal', message: `${nul}${huge}`, hint: huge, details: endless } }),
        ).toBody(),
    ],
  ])('is small and can be stored, %s', (_how, make) => {
    const text = JSON.stringify(make());
    expect(text.length).toBeLessThan(100_000);
    expect(text).not.toContain('\\u0000');
    expect(ErrorBody.parse(JSON.parse(text))).toEqual(JSON.parse(text));
  });

  it('keeps what an honest process says', () => {
    const details = { lastLog: 'a\nb', pid: 7, ok: true, list: ['x', null], more: { freeMib: 0 } };
    expect(plainDetails(details)).toEqual(details);
  });
});

describe('a value that only a hostile process sends is refused', () => {
  const health = { agentVersion: '1', generation: 1, vmId: null, uptimeMs: 1, desktop: null, ready: true, error: null };
  const status = {
    ...{ vmId: 'vm_0123456789abcdef', epoch: 1, revision: 0, phase: 'ready', vmm: null, error: null, startedAt: 1 },
    ...{ poweredOnAt: null, vncAt: null, agentAt: null, readyAt: null },
    runner: { pid: 1, startTicks: 1, bootId: 'b' },
    egress: { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null },
  };
  const login = {
    ...{ provider: 'codex', state: 'starting', pageHost: null, method: 'device_code', takesCode: false },
    ...{ exitCode: null, lastOutput: '', deviceCode: { url: 'https://a.example', code: 'A' } },
  };
  const held = { provider: 'codex', complete: true, fingerprint: 'f', generation: 1 };

  it('and an honest one is not', () => {
    expect(GuestHealth.parse(health)).toEqual(health);
    expect(RunnerStatus.parse(status)).toEqual(status);
    expect(LoginStatus.parse(login)).toEqual(login);
    expect(GuestCredentials.parse({ credentials: [held] })).toEqual({ credentials: [held] });
  });

  it.each([
    ['a number that no column takes', GuestCredentials, { credentials: [{ ...held, generation: 2 ** 31 }] }],
    ['a NUL where rows are compared', GuestCredentials, { credentials: [{ ...held, fingerprint: nul }] }],
    ['more than there are', GuestCredentials, { credentials: Array.from({ length: 65 }, () => held) }],
    ['a code that would lead nowhere', LoginStatus, { ...login, deviceCode: { url: 'https://a.example', code: nul } }],
    [
      'an address without end',
      LoginStatus,
      { ...login, deviceCode: { url: `https://a.example/${'x'.repeat(3000)}`, code: null } },
    ],
    ['a boot that no database takes', RunnerStatus, { ...status, runner: { ...status.runner, bootId: '\ud800' } }],
    ['a time that there is not', RunnerStatus, { ...status, readyAt: 1e16 }],
    ['a figure that is none', GuestHealth, { ...health, uptimeMs: 1e300 }],
  ])('%s', (_what, schema, value) => expect(schema.safeParse(value).success).toBe(false));
});
