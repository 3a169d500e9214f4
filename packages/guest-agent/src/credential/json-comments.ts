/** A JSON document as bytes, without what only some readers of JSON pass over. Pure. */

const [quote, backslash, slash, star, blank] = [0x22, 0x5c, 0x2f, 0x2a, 0x20];
const mark = Buffer.from('\uFEFF');

/** Without the mark that editors of another system put before a text: readers that know none take the text without it, too. */
export const withoutMark = (text: Buffer): Buffer =>
  text.subarray(0, mark.length).equals(mark) ? text.subarray(mark.length) : text;

/** With blanks in the place of comments, so that everything else stays where it is. A comment without an end is none. */
export function withoutComments(text: Buffer): Buffer {
  const plain = Buffer.from(text);
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === quote) at = behindString(text, at) - 1;
    if (text[at] !== slash) continue;
    const end = commentEnd(text, at);
    plain.fill(blank, at, end);
    at = Math.max(at, end - 1);
  }
  return plain;
}

function behindString(text: Buffer, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === backslash) at += 1;
    else if (text[at] === quote) return at + 1;
  }
  return text.length;
}

/** Behind a comment; `start` where none begins. */
function commentEnd(text: Buffer, start: number): number {
  if (text[start + 1] !== star && text[start + 1] !== slash) return start;
  const [last, length] = text[start + 1] === star ? ['*/', 2] : ['\n', 0];
  const end = text.indexOf(last, start + 2);
  if (end >= 0) return end + length;
  return length === 0 ? text.length : start;
}
