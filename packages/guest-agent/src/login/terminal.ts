/**
 * A terminal as small as a CLI's login needs: what stands on the screen as text, and answers to the questions that
 * programs ask a terminal (where is the cursor, what are you). Pure.
 */
import { createTerminalParser } from './terminal-parser.js';

export interface TerminalSize {
  columns: number;
  rows: number;
}

export interface Terminal {
  /** Takes the next piece of output; returns what the terminal answers to it (often nothing). */
  feed(chunk: string): string;
  /** Everything shown so far, a line a line; lines that were cut at the right edge are joined again. */
  text(): string;
}

/** Rows that are kept; older ones are forgotten. */
const rowLimit = 500;

const blank = /^ *$/;

/** Answers without which some programs wait for ever. */
function answerTo(parameters: string, final: string, row: number, column: number): string {
  if (final === 'n' && parameters === '6') return `\x1b[${row};${column}R`;
  if (final === 'n' && parameters === '5') return '\x1b[0n';
  if (final === 'c' && (parameters === '' || parameters === '0')) return '\x1b[?1;2c';
  if (final === 'c' && /^>0?$/.test(parameters)) return '\x1b[>0;0;0c';
  return '';
}

/** Foreground white, background black. */
function answerToColorQuery(text: string): string {
  const which = /^(1[01]);\?$/.exec(text)?.[1];
  if (which === undefined) return '';
  const color = which === '10' ? 'ffff/ffff/ffff' : '0000/0000/0000';
  return `\x1b]${which};rgb:${color}\x1b\\`;
}

export function createTerminal(size: TerminalSize): Terminal {
  /** One string a cell; a cell that was never written is a space. */
  let lines: string[][] = [[]];
  let row = 0;
  let column = 0;
  let answers = '';

  const top = (): number => Math.max(0, lines.length - size.rows);
  const line = (): string[] => lines[row] ?? [];
  const spaces = (count: number): string[] => Array.from({ length: count }, () => ' ');

  function moveTo(nextRow: number, nextColumn: number): void {
    row = Math.min(Math.max(nextRow, top()), top() + size.rows - 1);
    column = Math.min(Math.max(nextColumn, 0), size.columns - 1);
    while (lines.length <= row) lines.push([]);
  }

  function newLine(): void {
    row += 1;
    if (row === lines.length) lines.push([]);
    if (lines.length <= rowLimit) return;
    lines = lines.slice(-rowLimit);
    row = Math.min(row, lines.length) - 1;
  }

  function print(character: string): void {
    if (column >= size.columns) {
      newLine();
      column = 0;
    }
    const cells = line();
    if (cells.length < column) cells.push(...spaces(column - cells.length));
    cells[column] = character;
    column += 1;
  }

  function control(character: string): void {
    if (character === '\n' || character === '\v' || character === '\f') newLine();
    else if (character === '\r') column = 0;
    else if (character === '\b') column = Math.max(0, column - 1);
    else if (character === '\t') column = Math.min(size.columns - 1, (Math.floor(column / 8) + 1) * 8);
  }

  function eraseInLine(mode: number): void {
    if (mode === 0) lines[row] = line().slice(0, column);
    else if (mode === 1) lines[row] = [...spaces(column + 1), ...line().slice(column + 1)];
    else if (mode === 2) lines[row] = [];
  }

  function eraseInDisplay(mode: number): void {
    if (mode === 0) {
      eraseInLine(0);
      lines.length = row + 1;
    } else if (mode === 2 || mode === 3) {
      const firstShown = top();
      for (let index = firstShown; index < lines.length; index += 1) lines[index] = [];
    }
  }

  const motions: Readonly<Record<string, (count: number, second: number) => void>> = {
    A: (count) => moveTo(row - count, column),
    B: (count) => moveTo(row + count, column),
    C: (count) => moveTo(row, column + count),
    D: (count) => moveTo(row, column - count),
    E: (count) => moveTo(row + count, 0),
    F: (count) => moveTo(row - count, 0),
    G: (count) => moveTo(row, count - 1),
    H: (count, second) => moveTo(top() + count - 1, second - 1),
    f: (count, second) => moveTo(top() + count - 1, second - 1),
    d: (count) => moveTo(top() + count - 1, column),
  };

  function csi(parameters: string, final: string): void {
    answers += answerTo(parameters, final, row - top() + 1, Math.min(column, size.columns - 1) + 1);
    if (!/^[\d;]*$/.test(parameters)) return;
    const [first = 0, second = 0] = parameters.split(';').map(Number);
    if (final === 'J') eraseInDisplay(first);
    else if (final === 'K') eraseInLine(first);
    else motions[final]?.(Math.max(1, first), Math.max(1, second));
  }

  const parse = createTerminalParser({
    print,
    control,
    csi,
    osc: (text) => {
      answers += answerToColorQuery(text);
    },
  });

  return {
    feed: (chunk) => {
      answers = '';
      parse(chunk);
      return answers;
    },
    text: () => joinFullRows(lines, size.columns),
  };
}

/** A row that reaches the right edge goes on in the next one, whoever broke it. */
function joinFullRows(rows: readonly (readonly string[])[], columns: number): string {
  let text = '';
  rows.forEach((cells, index) => {
    const content = cells.join('');
    const isFull = cells.length >= columns && !blank.test(content);
    const isLast = index === rows.length - 1;
    text += isFull || isLast ? content : `${content.trimEnd()}\n`;
  });
  return text;
}
