/** Members are found in the bytes of a document exactly where `JSON.parse` finds them, and a merge changes no other value. */
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { fuzz } from '@airlock/contract/fixtures/fuzz';
import { mergeDocument, pickMembers } from './document.js';

const names = ['a', 'b', 'login', '__proto__'];
const value = fc.jsonValue({ maxDepth: 4 });
const members = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...names), fc.string()), value), { maxLength: 6 });
const blank = fc.stringMatching(/^[ \n\r\t]{0,2}$/);
const document = fc
  .tuple(members, blank, blank)
  .map(
    ([all, one, two]) =>
      `${two}{${one}${all.map(([name, inner]) => `${JSON.stringify(name)}${two}:${one}${JSON.stringify(inner, null, two)}${two}`).join(`,${one}`)}}${one}`,
  );
/** One character more, less, or another: mostly no JSON any more. */
const edited = fc
  .tuple(document, fc.nat(), fc.nat(2), fc.constantFrom(...'{}[]":,\\0e-.tu \u0001ü'))
  .map(([text, where, cut, piece]) => {
    const at = where % (text.length + 1);
    return `${text.slice(0, at)}${piece}${text.slice(at + cut)}`;
  });

type Document = Record<string, unknown>;

function parsed(text: string): Document | null {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Document) : null;
  } catch {
    return null;
  }
}

const without = (all: Document, left: readonly string[]): [string, unknown][] =>
  Object.entries(all).filter(([name]) => !left.includes(name));

function holds([text, added]: [string, Record<string, string>]): void {
  const content = Buffer.from(text);
  const whole = parsed(content.toString('utf8'));
  const picked = parsed(pickMembers(content, names).toString('utf8'));
  const delivered = Buffer.from(JSON.stringify(added));
  const merged = mergeDocument(content, delivered, ['login']);
  if (whole === null) {
    expect([picked, merged]).toEqual([null, delivered]);
    return;
  }
  expect(picked).toEqual(Object.fromEntries(Object.entries(whole).filter(([name]) => names.includes(name))));
  const after = merged === null ? {} : (parsed(merged.toString('utf8')) as Document);
  expect(without(after, ['a', 'login'])).toEqual(without(whole, ['a', 'login']));
  expect(after['login']).toEqual(added['login']);
  expect(after['a']).toEqual(added['a'] ?? whole['a']);
}

const input = fc.tuple(fc.oneof(document, edited), fc.dictionary(fc.constantFrom('a', 'login'), fc.string()));

fuzz('agent: members of a document', input, holds);
