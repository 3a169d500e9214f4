/**
 * A terminal as small as a CLI's login needs: what stands on the screen as text, and answers to the questions that
 * programs ask a terminal (where is the cursor, what are you). Pure.
 */
import {
  control,
  createGrid,
  eraseInDisplay,
  eraseInLine,
  moveTo,
  print,
  textOf,
  topOf,
  type Grid,
  type TerminalSize,
} from './grid.js';
import { feedParser, newParser } from './terminal-parser.js';

export interface Terminal {
  /** Takes the next piece of output; returns what the terminal answers to it (often nothing). */
  feed(chunk: string): string;
  /** Everything shown so far, a line a line; lines that were cut at the right edge are joined again. */
  text(): string;
}

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

type Motion = (grid: Grid, count: number, second: number) => void;

const toPlace: Motion = (grid, count, second) => moveTo(grid, topOf(grid) + count - 1, second - 1);
const motions: Readonly<Record<string, Motion>> = {
  A: (grid, count) => moveTo(grid, grid.row - count, grid.column),
  B: (grid, count) => moveTo(grid, grid.row + count, grid.column),
  C: (grid, count) => moveTo(grid, grid.row, grid.column + count),
  D: (grid, count) => moveTo(grid, grid.row, grid.column - count),
  E: (grid, count) => moveTo(grid, grid.row + count, 0),
  F: (grid, count) => moveTo(grid, grid.row - count, 0),
  G: (grid, count) => moveTo(grid, grid.row, count - 1),
  H: toPlace,
  f: toPlace,
  d: (grid, count) => moveTo(grid, topOf(grid) + count - 1, grid.column),
};

/** Does what a control sequence says. */
function obey(grid: Grid, parameters: string, final: string): void {
  if (!/^[\d;]*$/.test(parameters)) return;
  const [first = 0, second = 0] = parameters.split(';').map(Number);
  if (final === 'J') eraseInDisplay(grid, first);
  else if (final === 'K') eraseInLine(grid, first);
  else motions[final]?.(grid, Math.max(1, first), Math.max(1, second));
}

export function createTerminal(size: TerminalSize): Terminal {
  const grid = createGrid(size);
  let answers = '';
  const parser = newParser({
    print: (character) => print(grid, character),
    control: (character) => control(grid, character),
    csi: (parameters, final) => {
      const { row, column } = grid;
      answers += answerTo(parameters, final, row - topOf(grid) + 1, Math.min(column, size.columns - 1) + 1);
      obey(grid, parameters, final);
    },
    osc: (text) => {
      answers += answerToColorQuery(text);
    },
  });
  return {
    feed: (chunk) => {
      answers = '';
      feedParser(parser, chunk);
      return answers;
    },
    text: () => textOf(grid),
  };
}
