/**
 * Members of a JSON object, found in its bytes without making a value of them: what else a CLI keeps in the document costs no memory and
 * no depth, and stays byte for byte. Exactly what `JSON.parse` takes is taken. Pure.
 */

export interface Member {
  name: string;
  /** Behind the brace or comma before it. */
  from: number;
  /** Its value: the first byte, and the one behind. */
  value: number;
  end: number;
}

export interface ObjectText {
  /** Those that were asked for, in their order; a name may come twice, and the last one counts. */
  members: Member[];
  /** Whether it has any member at all. */
  isEmpty: boolean;
  /** Behind its brace, and behind its last member. */
  open: number;
  end: number;
}

const [quote, comma, colon, backslash, u] = [0x22, 0x2c, 0x3a, 0x5c, 0x75];
const [brace, bracket] = [0x7b, 0x5b];
const escapes = new Set(Buffer.from('"\\/bfnrtu'));
const inTokens = Uint8Array.from({ length: 256 }, (_none, byte) => Number(/[\w+.-]/.test(String.fromCharCode(byte))));
const token = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

const broken = (at: number): SyntaxError => new SyntaxError(`no JSON at byte ${at}`);

/** The members of these names; null when the text is no JSON object. */
export function findMembers(text: Buffer, names: ReadonlySet<string>): ObjectText | null {
  try {
    return scan(text, names);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** One pass over all of it; `opened` holds what is open around, so that no depth needs stack. */
function scan(text: Buffer, names: ReadonlySet<string>): ObjectText | null {
  const opened = Buffer.alloc(text.length);
  const start = blankEnd(text, 0);
  if (text[start] !== brace) return null;
  const found: ObjectText = { members: [], isEmpty: true, open: start + 1, end: start + 1 };
  let [at, depth, from, value] = [start, 0, start + 1, 0];
  let name = '';
  const key = (): void => {
    const first = blankEnd(text, at);
    const behind = stringEnd(text, first);
    if (depth === 1) [name, from] = [JSON.parse(text.toString('utf8', first, behind)) as string, at];
    at = blankEnd(text, behind);
    if (text[at] !== colon) throw broken(at);
    at = blankEnd(text, at + 1);
    if (depth === 1) value = at;
  };
  for (;;) {
    const first = text[at] ?? 0;
    if (first === brace || first === bracket) {
      at += 1;
      if (text[blankEnd(text, at)] !== first + 2) {
        opened[depth] = first;
        depth += 1;
        if (first === brace) key();
        else at = blankEnd(text, at);
        continue;
      }
      at = blankEnd(text, at) + 1;
    } else at = first === quote ? stringEnd(text, at) : tokenEnd(text, at);
    // A value has ended here, and with it perhaps what is around it.
    for (; depth > 0; depth -= 1, at += 1) {
      if (depth === 1) {
        if (names.has(name)) found.members.push({ name, from, value, end: at });
        Object.assign(found, { isEmpty: false, end: at });
      }
      at = blankEnd(text, at);
      if (text[at] !== (opened[depth - 1] ?? 0) + 2) break;
    }
    if (depth === 0) break;
    if (text[at] !== comma) throw broken(at);
    at += 1;
    if (opened[depth - 1] === brace) key();
    else at = blankEnd(text, at);
  }
  at = blankEnd(text, at);
  if (at < text.length) throw broken(at);
  return found;
}

function blankEnd(text: Buffer, start: number): number {
  let at = start;
  while (text[at] === 0x20 || text[at] === 0x0a || text[at] === 0x0d || text[at] === 0x09) at += 1;
  return at;
}

function stringEnd(text: Buffer, start: number): number {
  if (text[start] !== quote) throw broken(start);
  for (let at = start + 1; at < text.length; at += 1) {
    const byte = text[at] ?? 0;
    if (byte === quote) return at + 1;
    if (byte < 0x20) throw broken(at);
    if (byte !== backslash) continue;
    at += 1;
    const kind = text[at] ?? 0;
    if (!escapes.has(kind)) throw broken(at);
    if (kind !== u) continue;
    if (!/^[\da-fA-F]{4}$/.test(text.toString('latin1', at + 1, at + 5))) throw broken(at);
    at += 4;
  }
  throw broken(text.length);
}

/** Of a number or a word. */
function tokenEnd(text: Buffer, start: number): number {
  let at = start;
  while (inTokens[text[at] ?? 0]) at += 1;
  if (!token.test(text.toString('latin1', start, at))) throw broken(start);
  return at;
}
