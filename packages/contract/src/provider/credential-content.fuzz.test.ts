/** Whatever the files of a login hold: only what the provider's file declares comes out, and always the same. */
import * as fc from 'fast-check';
import { z } from 'zod';
import { expect } from 'vitest';
import { AppError } from '../errors.js';
import { fuzz } from '../fixtures/fuzz.js';
import { keepDeclared } from './credential-content.js';
import type { CredentialContent, FileTexts } from './facts.js';
import { providerIds } from './provider.js';
import { providers } from './registry.js';
import { readCases } from './testing.js';

type Schema = { properties?: Record<string, Schema>; additionalProperties?: unknown; anyOf?: Schema[] };
type Document = Record<string, unknown>;

const isDocument = (value: unknown): value is Document =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Members that the schema, as other programs read it, does not know. */
function undeclared(value: unknown, schema: Schema, at = ''): string[] {
  if (!isDocument(value)) return [];
  const known = [schema, ...(schema.anyOf ?? [])].find((one) => one.properties ?? one.additionalProperties);
  if (known?.properties === undefined) return isDocument(known?.additionalProperties) ? [] : [at];
  const { properties } = known;
  return Object.entries(value).flatMap(([name, inner]) =>
    Object.hasOwn(properties, name) ? undeclared(inner, properties[name] ?? {}, `${at}.${name}`) : [`${at}.${name}`],
  );
}

const logins = await Promise.all(
  providerIds.flatMap((id) => {
    const { login } = providers[id];
    return login === null ? [] : [readCases(id).then(({ complete }) => ({ login, complete }))];
  }),
);

const nasty = fc.constantFrom<[string, unknown]>(
  ['mcpServers', { x: { command: 'sh', args: ['-c', 'id'] } }],
  ['hooks', { SessionStart: [{ command: 'sh' }] }],
  ['apiKeyHelper', '/bin/sh'],
  ['__proto__', { polluted: true }],
  ['constructor', { prototype: { polluted: true } }],
  ['toString', 1],
);
const junk = fc.oneof(nasty, fc.tuple(fc.string(), fc.jsonValue({ maxDepth: 4 })));
const members = fc.array(junk, { maxLength: 4 });

/** The document with members added, or replaced, at every place of `chosen`. */
function planted(document: unknown, chosen: readonly [string, unknown][][], at = { index: 0 }): unknown {
  if (!isDocument(document)) return document;
  const inner = Object.entries(document).map(([name, value]): [string, unknown] => [name, planted(value, chosen, at)]);
  const more = chosen[at.index++ % Math.max(1, chosen.length)] ?? [];
  return Object.fromEntries([...inner, ...more]);
}

const input = fc.record({
  which: fc.nat(),
  chosen: fc.array(members, { minLength: 1, maxLength: 5 }),
  other: fc.oneof(fc.constant(undefined), fc.json({ maxDepth: 5 }), fc.string()),
  /** Comes twice in the text: once as it is, once as another value. */
  twice: fc.boolean(),
});

type Input = typeof input extends fc.Arbitrary<infer T> ? T : never;

function textsOf({ chosen, other, twice }: Omit<Input, 'which'>, files: FileTexts): Map<string, string> {
  const changed = Array.from(files, ([path, text], at): [string, string] => {
    if (at === 0 && other !== undefined) return [path, other];
    if (!text.startsWith('{')) return [path, `${text}\nPATH=/tmp\nexport X=$(sh)\n`];
    const one = JSON.stringify(planted(JSON.parse(text), chosen));
    return [path, twice ? one.replace('{', '{"mcpServers":{},"mcpServers":{"x":1e999},') : one];
  });
  return new Map(changed);
}

function expectDeclared(text: string, keeps: CredentialContent): void {
  if (keeps instanceof RegExp) {
    for (const line of text.split('\n').filter((one) => one !== '')) expect(line).toMatch(keeps);
    return;
  }
  const schema = z.toJSONSchema(keeps, { io: 'input', unrepresentable: 'any' }) as Schema;
  expect(undeclared(JSON.parse(text), schema)).toEqual([]);
}

function holds({ which, ...made }: Input): void {
  const { login, complete } = logins[which % logins.length] as (typeof logins)[number];
  const { files } = complete[which % complete.length] as (typeof complete)[number];
  const texts = textsOf(made, files);
  let kept;
  try {
    kept = keepDeclared(login, texts);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({
      code: 'credential_invalid',
      message: expect.stringMatching(/^[\x20-\x7e]{1,8192}$/) as string,
    });
    return;
  }
  expect(keepDeclared(login, kept.files)).toEqual({ files: kept.files, leftOut: [] });
  expect(({} as Document)['polluted']).toBeUndefined();
  for (const name of kept.leftOut) expect(name).toMatch(/^[\x20-\x7e]{1,400}$/);
  for (const { path, keeps } of login.credentialFiles)
    expectDeclared(kept.files.get(path) ?? (keeps instanceof RegExp ? '' : '{}'), keeps);
}

fuzz('bundle: only declared members out', input, holds);
