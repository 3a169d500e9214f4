/** Changes some members of a JSON document that a CLI also keeps other things in. Pure. */

type Members = Record<string, unknown>;

/** The members of a JSON object; null when the text is anything else. */
function membersOf(content: Buffer | null): Members | null {
  if (content === null) return null;
  try {
    const value: unknown = JSON.parse(content.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null;
  } catch {
    // A document that no CLI could read holds nothing to keep.
    return null;
  }
}

/**
 * `existing` without the members of an earlier login, with the members of `delivered` in their places, in the order that
 * the document had. null: nothing is left. A document that is no JSON object is given up for the delivered one.
 */
export function mergeDocument(
  existing: Buffer | null,
  delivered: Buffer | null,
  loginMembers: readonly string[],
): Buffer | null {
  const old = membersOf(existing);
  if (old === null) return delivered;
  const added = membersOf(delivered) ?? {};
  const kept = Object.entries(old).filter(([name]) => name in added || !loginMembers.includes(name));
  const merged = { ...Object.fromEntries(kept), ...added };
  return Object.keys(merged).length === 0 ? null : Buffer.from(`${JSON.stringify(merged, null, 2)}\n`);
}
