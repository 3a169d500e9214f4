/** The cells of a terminal and its cursor, and what moves, prints and erases do to them. */
export interface TerminalSize {
  columns: number;
  rows: number;
}

export interface Grid {
  readonly size: TerminalSize;
  /** One string a cell; a cell that was never written is a space. */
  lines: string[][];
  row: number;
  column: number;
}

/** Rows that are kept; older ones are forgotten. */
const rowLimit = 500;

const blank = /^ *$/;
const spaces = (count: number): string[] => Array.from({ length: count }, () => ' ');
const lineOf = ({ lines, row }: Grid): string[] => lines[row] ?? [];

export const createGrid = (size: TerminalSize): Grid => ({ size, lines: [[]], row: 0, column: 0 });

/** The first row that is shown. */
export const topOf = ({ lines, size }: Grid): number => Math.max(0, lines.length - size.rows);

/** Goes no further than the edges of what is shown. */
export function moveTo(grid: Grid, row: number, column: number): void {
  const { size, lines } = grid;
  const top = topOf(grid);
  grid.row = Math.min(Math.max(row, top), top + size.rows - 1);
  grid.column = Math.min(Math.max(column, 0), size.columns - 1);
  while (lines.length <= grid.row) lines.push([]);
}

function newLine(grid: Grid): void {
  grid.row += 1;
  if (grid.row === grid.lines.length) grid.lines.push([]);
  if (grid.lines.length <= rowLimit) return;
  grid.lines = grid.lines.slice(-rowLimit);
  grid.row = Math.min(grid.row, grid.lines.length) - 1;
}

export function print(grid: Grid, character: string): void {
  if (grid.column >= grid.size.columns) {
    newLine(grid);
    grid.column = 0;
  }
  const cells = lineOf(grid);
  if (cells.length < grid.column) cells.push(...spaces(grid.column - cells.length));
  cells[grid.column] = character;
  grid.column += 1;
}

/** A control character such as \r or \n. */
export function control(grid: Grid, character: string): void {
  const { column, size } = grid;
  if (character === '\n' || character === '\v' || character === '\f') newLine(grid);
  else if (character === '\r') grid.column = 0;
  else if (character === '\b') grid.column = Math.max(0, column - 1);
  else if (character === '\t') grid.column = Math.min(size.columns - 1, (Math.floor(column / 8) + 1) * 8);
}

/** 0: from the cursor on; 1: up to it; 2: all. */
export function eraseInLine(grid: Grid, mode: number): void {
  const { lines, row, column } = grid;
  if (mode === 0) lines[row] = lineOf(grid).slice(0, column);
  else if (mode === 1) lines[row] = [...spaces(column + 1), ...lineOf(grid).slice(column + 1)];
  else if (mode === 2) lines[row] = [];
}

/** 0: from the cursor on; 2 and 3: all that is shown. */
export function eraseInDisplay(grid: Grid, mode: number): void {
  const { lines } = grid;
  if (mode === 0) {
    eraseInLine(grid, 0);
    lines.length = grid.row + 1;
  } else if (mode === 2 || mode === 3) {
    const firstShown = topOf(grid);
    for (let index = firstShown; index < lines.length; index += 1) lines[index] = [];
  }
}

/** The text of all rows. A row that reaches the right edge goes on in the next one, whoever broke it. */
export function textOf({ lines, size: { columns } }: Grid): string {
  let text = '';
  lines.forEach((cells, index) => {
    const content = cells.join('');
    const isFull = cells.length >= columns && !blank.test(content);
    const isLast = index === lines.length - 1;
    text += isFull || isLast ? content : `${content.trimEnd()}\n`;
  });
  return text;
}
