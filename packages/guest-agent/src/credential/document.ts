/** Takes some members out of a JSON document that a CLI also keeps other things in, and changes them there. Pure. */
import { withoutComments, withoutMark } from './json-comments.js';
import { findMembers, type Member } from './json-members.js';

type Members = Record<string, unknown>;

const isDocument = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** How a CLI reads its document. */
export interface Reader {
  /** It passes over comments. */
  comments?: boolean | undefined;
}

/** These members alone, as a document of their own; a text that is none when `document` is no JSON object. */
export function pickMembers(document: Buffer, names: readonly string[], { comments = false }: Reader = {}): Buffer {
  const whole = withoutMark(document);
  const content = comments ? withoutComments(whole) : whole;
  const found = findMembers(content, new Set(names));
  if (found === null) return Buffer.alloc(0);
  const picked = [...lastOf(found.members).values()].map(({ name, value, end }) =>
    Buffer.concat([Buffer.from(`${JSON.stringify(name)}:`), content.subarray(value, end)]),
  );
  return documentOf(picked, Buffer.from('{'), Buffer.from('}'));
}

const documentOf = (members: readonly Buffer[], before: Buffer, after: Buffer): Buffer =>
  Buffer.concat([
    before,
    ...members.flatMap((member, at) => (at === 0 ? [member] : [Buffer.from(','), member])),
    after,
  ]);

const lastOf = (members: readonly Member[]): Map<string, Member> => new Map(members.map((one) => [one.name, one]));

/**
 * `document` without the members of an earlier login (`outer.inner`), with the members of `delivered` in their places, however deep.
 * Everything else in it stays, byte for byte. null: nothing is left. What is no JSON object no CLI could read: it is given up for the
 * delivered one.
 */
export function mergeDocument(
  document: Buffer | null,
  delivered: Buffer | null,
  loginMembers: readonly string[],
  { comments = false }: Reader = {},
): Buffer | null {
  const text = document && withoutMark(document);
  const plain = text && comments ? withoutComments(text) : text;
  if (text === null || plain === null || findMembers(plain, new Set()) === null) return delivered;
  const added: unknown = delivered === null ? {} : JSON.parse(delivered.toString('utf8'));
  return merge({ text, plain }, isDocument(added) ? added : {}, loginMembers, '\n  ');
}

/** An object as it stands there, and, byte for byte in the same places, as JSON. */
interface ObjectBytes {
  text: Buffer;
  plain: Buffer;
}

/** `line` begins a member. null: no member is left of some. */
function merge(
  { text, plain }: ObjectBytes,
  added: Members,
  loginMembers: readonly string[],
  line: string,
): Buffer | null {
  const outer = loginMembers.map((name) => name.split('.')[0] ?? name);
  const found = findMembers(plain, new Set([...Object.keys(added), ...outer]));
  if (found === null) return text;
  const last = lastOf(found.members);
  const parts: Buffer[] = [];
  let at = found.open;
  for (const member of found.members) {
    // What is between two of these members, without the comma before the second one.
    if (member.from > at) parts.push(text.subarray(at, member.from - 1));
    const before = { text: text.subarray(member.value, member.end), plain: plain.subarray(member.value, member.end) };
    const value = last.get(member.name) === member ? valueOf(before, member.name, added, { loginMembers, line }) : null;
    if (value) parts.push(Buffer.concat([text.subarray(member.from, member.value), value]));
    at = member.end === found.end ? found.end : plain.indexOf(',', member.end) + 1;
  }
  if (at < found.end) parts.push(text.subarray(at, found.end));
  for (const [name, value] of Object.entries(added)) {
    if (!last.has(name)) parts.push(Buffer.from(`${line}${JSON.stringify(name)}: ${textOf(value, line)}`));
  }
  if (parts.length === 0 && !found.isEmpty) return null;
  return documentOf(parts, text.subarray(0, found.open), text.subarray(found.end));
}

/** The value of a member that there is, as it is afterwards; null when it goes. */
function valueOf(
  before: ObjectBytes,
  name: string,
  added: Members,
  { loginMembers, line }: { loginMembers: readonly string[]; line: string },
): Buffer | null {
  const after = Object.hasOwn(added, name) ? added[name] : undefined;
  if (loginMembers.includes(name)) return after === undefined ? null : Buffer.from(textOf(after, line));
  if (before.plain[0] === 0x7b && (after === undefined || isDocument(after))) {
    const inner = loginMembers.filter((one) => one.startsWith(`${name}.`)).map((one) => one.slice(name.length + 1));
    return merge(before, after ?? {}, inner, `${line}  `);
  }
  return after === undefined ? before.text : Buffer.from(textOf(after, line));
}

const textOf = (value: unknown, line: string): string => JSON.stringify(value, null, 2).replaceAll('\n', line);
