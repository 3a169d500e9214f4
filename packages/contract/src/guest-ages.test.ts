/** What crosses between a controller and an agent that is newer: understood as far as it is known, and nothing else of it kept. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { AppError } from './errors.js';
import {
  CheckResult,
  CredentialBundle,
  GuestConfig,
  GuestCredentials,
  GuestHealth,
  guestProtocol,
  LoginInput,
  LoginRequest,
  LoginStatus,
  newestGuestProtocol,
  oldestGuestProtocol,
  PromptFrame,
  PromptRequest,
  StoredBundle,
} from './guest.js';
import { RunnerSecrets } from './runner.js';
import { CodeRequest } from './session.js';

const error = { code: 'home_unusable', message: 'It is full.', hint: 'Make room.', details: { freeMib: 0 } };
const config = {
  ...{ version: 1, vmId: 'vm_0123456789abcdef', kind: 'cli', sessionId: null, hostname: 'a', timezone: 'Etc/UTC' },
  ...{ epochMs: 1, entropy: Buffer.alloc(64).toString('base64'), agentToken: 'x'.repeat(32), vncPassword: null },
  ...{ homeKey: null, extraCaPem: null },
};
const desktop = { display: true, vnc: true, windowManager: true, terminal: true, browser: false };
const health = { agentVersion: '1', generation: 1, vmId: config.vmId, uptimeMs: 1, desktop, ready: false, error };
const deviceCode = { url: 'https://auth.example/device', code: 'ABCD' };
const login = {
  ...{ provider: 'codex', state: 'starting', pageHost: null, method: 'device_code', deviceCode, takesCode: false },
  ...{ exitCode: null, lastOutput: '' },
};
const file = { path: '.codex/auth.json', mode: 0o600, contentBase64: 'e30=' };
const bundle = { provider: 'codex', files: [file, { ...file, path: '.codex/other' }] };
const held = { provider: 'codex', complete: true, fingerprint: 'f', generation: 1 };
const check = { name: 'node', ok: true, exitCode: 0, output: 'v20', durationMs: 1 };
const prompt = { provider: 'codex', prompt: 'Hello', timeoutMs: 1000, cwd: 'work', statuses: true };

/** Everything that crosses, with an example in which every member has a value. */
const crossing: [string, z.ZodType, Tree][] = [
  ['GuestConfig', GuestConfig, config],
  ['GuestHealth', GuestHealth, health],
  ['LoginRequest', LoginRequest, { provider: 'codex', method: 'browser' }],
  ['LoginInput', LoginInput, { code: 'abc' }],
  ['LoginStatus', LoginStatus, login],
  ['CredentialBundle', CredentialBundle, bundle],
  ['GuestCredentials', GuestCredentials, { credentials: [held] }],
  ['CheckResult', CheckResult, check],
  ['PromptRequest', PromptRequest, prompt],
  ['a frame of a status', PromptFrame, { status: 'trying again' }],
  ['a frame of text', PromptFrame, { chunk: 'text' }],
  ['a frame of an error', PromptFrame, { error }],
  ['a frame of the end', PromptFrame, { exitCode: 0 }],
];

type Tree = null | string | number | boolean | Tree[] | { [name: string]: Tree };

/** `value` with members of no known name in each of its objects; `details` may hold anything as it is. */
function withMore(value: Tree, more: () => Record<string, Tree>): Tree {
  if (Array.isArray(value)) return value.map((inner) => withMore(inner, more));
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).map(
    ([name, inner]) => [name, name === 'details' ? inner : withMore(inner, more)] as const,
  );
  return Object.fromEntries([...Object.entries(more()), ...members]);
}

/** Each value that is `value` but for one member, which is of no form that any has. */
function* withOneWrong(value: Tree): Generator<Tree> {
  if (value === null || typeof value !== 'object') return yield { wrong: true };
  for (const [name, inner] of Object.entries(value)) {
    for (const wrong of withOneWrong(inner)) {
      yield Array.isArray(value) ? value.with(Number(name), wrong) : { ...value, [name]: wrong };
    }
  }
}

const unknownMembers = fc.dictionary(
  fc.string().map((name) => `next ${name}`),
  fc.jsonValue(),
  { maxKeys: 3 },
) as fc.Arbitrary<Record<string, Tree>>;

describe.each(crossing)('%s', (_name, schema, example) => {
  it('is the same with members that nobody knows yet, at any depth', () => {
    expect(schema.parse(example)).toEqual(example);
    fc.assert(
      fc.property(fc.infiniteStream(unknownMembers), (stream) => {
        const more = (): Record<string, Tree> => stream.next().value ?? {};
        expect(schema.parse(withMore(example, more))).toEqual(example);
      }),
    );
  });

  it('is refused with a value that is none of a member', () => {
    for (const wrong of withOneWrong(example)) {
      const isDetail = JSON.stringify(wrong).includes('"freeMib":{');
      expect(schema.safeParse(wrong).success, JSON.stringify(wrong)).toBe(isDetail);
    }
  });
});

describe('of a newer agent', () => {
  it('an error is told in its words, whatever its code', () => {
    const { error: told } = GuestHealth.parse({ ...health, error: { ...error, code: 'home_on_fire' } });
    expect(told).toEqual({ ...error, code: 'internal' });
    expect(
      AppError.fromAnswer(JSON.stringify({ error: { ...error, code: 'home_on_fire', next: 1 }, next: 1 })),
    ).toEqual(AppError.fromBody({ ...error, code: 'internal' }));
  });

  it('credentials of providers that are not known here are left out', () => {
    const credentials = [{ ...held, provider: 'next_cli' }, held, { provider: 'another', secret: 'none' }];
    expect(GuestCredentials.parse({ credentials })).toEqual({ credentials: [held] });
    expect(GuestCredentials.safeParse({ credentials: [{ ...held, complete: 'yes' }] }).success).toBe(false);
  });
});

it('what does not cross stays strict: the API’s requests, a runner’s input, what the vault has sealed', () => {
  expect(CodeRequest.safeParse({ code: 'abc', next: 1 }).success).toBe(false);
  expect(RunnerSecrets.safeParse({ guestConfig: config, upstream: null }).success).toBe(true);
  expect(RunnerSecrets.safeParse({ guestConfig: { ...config, next: 1 }, upstream: null }).success).toBe(false);
  expect(StoredBundle.parse(bundle)).toEqual(bundle);
  for (const stored of [
    { ...bundle, next: 1 },
    { ...bundle, files: [{ ...file, next: 1 }] },
  ])
    expect(StoredBundle.safeParse(stored).success).toBe(false);
});

it('understands agents of one protocol before and after its own, and maybe older ones', () => {
  expect(oldestGuestProtocol).toBeLessThan(guestProtocol);
  expect(newestGuestProtocol).toBe(guestProtocol + 1);
});
