/** Lines `NAME=value` of a file in which a CLI's login stands beside what a person keeps there, changed byte for byte. Pure. */

/** As the CLIs read them: `export` before the name, blanks around it, `:` for `=`. */
const assignment = /^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*[=:]/;

/** `existing` without these variables, and with the lines of `delivered` at its end. null: nothing is left. */
export function mergeVariables(
  existing: Buffer | null,
  delivered: Buffer | null,
  names: readonly string[],
): Buffer | null {
  // One character a byte, whatever the encoding is.
  const lines = existing?.toString('latin1').match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const kept = lines.filter((line) => !names.includes(assignment.exec(line)?.[1] ?? '')).join('');
  const added = delivered?.toString('latin1') ?? '';
  const gap = added === '' || kept === '' || kept.endsWith('\n') ? '' : '\n';
  return kept + added === '' ? null : Buffer.from(kept + gap + added, 'latin1');
}
