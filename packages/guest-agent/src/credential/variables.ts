/** Lines `NAME=value` of a file in which a CLI's login stands beside what a person keeps there. Pure. */

/** As the CLIs read them: `export` before the name, blanks around it, `:` for `=`; before the first line an editor's mark (as bytes). */
const assignment = /^(?:\xef\xbb\xbf)?[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*[=:]/;
/** What is behind that: quoted, whatever follows; or up to a comment. */
const value = /^[ \t]*(?:(['"`])(.*?)\1|([^#\r\n]*))/;
const line = /[^\r\n]*(?:\r\n?|\n)|[^\r\n]+$/g;

// One character a byte, whatever the encoding is.
const linesOf = (text: Buffer): string[] => text.toString('latin1').match(line) ?? [];

/** What these variables are by the file, each as a line `NAME=value`, without quotes: of several lines the last one counts. */
export function readVariables(text: Buffer, names: readonly string[]): string {
  const found = new Map<string, string>();
  for (const one of linesOf(text)) {
    const [before = '', name = ''] = assignment.exec(one) ?? [];
    if (!names.includes(name)) continue;
    const [, , quoted, bare = ''] = value.exec(one.slice(before.length)) ?? [];
    found.set(name, quoted ?? bare.trim());
  }
  return [...found].map(([name, text]) => `${name}=${text}\n`).join('');
}

/** `existing` without these variables, and with the lines of `delivered` at its end, all else byte for byte. null: nothing is left. */
export function mergeVariables(
  existing: Buffer | null,
  delivered: Buffer | null,
  names: readonly string[],
): Buffer | null {
  const lines = existing === null ? [] : linesOf(existing);
  const kept = lines.filter((one) => !names.includes(assignment.exec(one)?.[1] ?? '')).join('');
  const added = delivered?.toString('latin1') ?? '';
  const gap = added === '' || kept === '' || /[\r\n]$/.test(kept) ? '' : '\n';
  return kept + added === '' ? null : Buffer.from(kept + gap + added, 'latin1');
}
