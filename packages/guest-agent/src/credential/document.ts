/** Changes some members of a JSON document that a CLI also keeps other things in. Pure. */

type Members = Record<string, unknown>;

const isDocument = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The members of a JSON object; null when the text is anything else. */
function membersOf(content: Buffer | null): Members | null {
  if (content === null) return null;
  try {
    const value: unknown = JSON.parse(content.toString('utf8'));
    return isDocument(value) ? value : null;
  } catch {
    // A document that no CLI could read holds nothing to keep.
    return null;
  }
}

/**
 * `existing` without the members of an earlier login (`outer.inner`), with the members of `delivered` in their places, however deep, in
 * the order that the document had. null: nothing is left. A document that is no JSON object is given up for the delivered one.
 */
export function mergeDocument(
  existing: Buffer | null,
  delivered: Buffer | null,
  loginMembers: readonly string[],
): Buffer | null {
  const old = membersOf(existing);
  if (old === null) return delivered;
  const merged = merge(old, membersOf(delivered) ?? {}, loginMembers);
  return Object.keys(merged).length === 0 ? null : Buffer.from(`${JSON.stringify(merged, null, 2)}\n`);
}

function merge(old: Members, added: Members, loginMembers: readonly string[]): Members {
  const names = [...new Set([...Object.keys(old), ...Object.keys(added)])];
  return Object.fromEntries(names.flatMap((name) => memberOf(name, old, added, loginMembers)));
}

/** The member of this name as it is afterwards; none when it goes. */
function memberOf(name: string, old: Members, added: Members, loginMembers: readonly string[]): [string, unknown][] {
  const before = Object.hasOwn(old, name) ? old[name] : undefined;
  const after = Object.hasOwn(added, name) ? added[name] : undefined;
  if (loginMembers.includes(name)) return after === undefined ? [] : [[name, after]];
  const inner = loginMembers.filter((one) => one.startsWith(`${name}.`)).map((one) => one.slice(name.length + 1));
  if (!isDocument(before) || (after === undefined ? inner.length === 0 : !isDocument(after)))
    return [[name, after ?? before]];
  const merged = merge(before, isDocument(after) ? after : {}, inner);
  return Object.keys(merged).length === 0 && Object.keys(before).length > 0 ? [] : [[name, merged]];
}
