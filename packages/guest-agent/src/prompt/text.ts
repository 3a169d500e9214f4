/** The text of an answer on its way out: whole lines, no control characters, no frame too long. Pure. */
import { stripVTControlCharacters } from 'node:util';

/** Characters of one line of output; what is longer is no event of a CLI and is dropped as a whole. */
const lineLimit = 4 * 1024 * 1024;

/** Cuts a stream into lines. Each call gives the lines that have become whole; an empty text ends the last one. */
export function createLines(): (text: string) => string[] {
  let rest = '';
  let tooLong = false;
  return (text) => {
    const lines = (rest + text).split(/\r?\n/);
    rest = text === '' ? '' : (lines.pop() ?? '');
    if (tooLong && lines.length > 0) {
      lines.shift();
      tooLong = false;
    }
    if (rest.length > lineLimit || tooLong) {
      rest = '';
      tooLong = true;
    }
    return lines;
  };
}

/** Without escape sequences and control characters; line breaks and tabs stay. */
export function plainText(text: string): string {
  const breaks = stripVTControlCharacters(text).replaceAll('\r\n', '\n').replaceAll('\r', '\n');
  return breaks.replace(/[^\P{Cc}\n\t]/gu, '');
}

/** The text in pieces of at most `limit` characters, no character of two units torn apart. */
export function pieces(text: string, limit: number): string[] {
  const found: string[] = [];
  for (let start = 0; start < text.length;) {
    const end = start + limit;
    const last = text.charCodeAt(end - 1);
    const isTorn = end < text.length && last >= 0xd800 && last <= 0xdbff;
    found.push(text.slice(start, isTorn ? end - 1 : end));
    start = isTorn ? end - 1 : end;
  }
  return found;
}
