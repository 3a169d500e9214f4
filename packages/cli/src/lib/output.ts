/**
 * What commands print: tables, JSON, errors. Results go to standard output, everything else to standard error. The only place that writes
 * what somebody else has said: a guest's words move no cursor, open no link and rename no window, whether or not a terminal reads them.
 */
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import type { AppError } from '@airlock/contract/errors';
import { plainText, unfit } from '@airlock/contract/received';

/** Without escape sequences; what else a terminal would obey becomes U+FFFD. */
export const inert = (text: string): string =>
  plainText(stripVTControlCharacters(text).replaceAll(/\r\n?/g, '\n'), Infinity);

/** JSON in which what a terminal would obey is escaped, so that its value stays. */
export const inertJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replaceAll(
    unfit,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

export const print = (text: string): void => void process.stdout.write(`${inert(text)}\n`);
export const note = (text: string): void => void process.stderr.write(`${inert(text)}\n`);
export const printJson = (value: unknown): void => print(inertJson(value, 2));

/** A piece of a longer answer, no faster than standard output takes it. */
export async function printPiece(text: string, signal: AbortSignal): Promise<void> {
  if (!process.stdout.write(inert(text))) await once(process.stdout, 'drain', { signal });
}

/** Rows in aligned columns; the last column is never padded. A cell is one line. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map((cell) => inert(cell).replaceAll(/\s*\n\s*/g, ' ')));
  const widths = head.map((_title, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ');
  return all.map((row) => line(row).trimEnd()).join('\n');
}

const hints: Partial<Record<AppError['code'], string>> = {
  controller_unreachable: 'Start it with `npm run up` (same AIRLOCK_HOME), then try again.',
};

/** An error as a person reads it: message, hint, details that are text, code. */
export function describeError(error: AppError): string {
  const hint = error.hint || hints[error.code];
  const details = Object.entries(error.details ?? {}).filter(([, value]) => typeof value === 'string' && value !== '');
  return [
    `error: ${error.message}`,
    ...details.map(([name, value]) => `${name}:\n  ${String(value).replaceAll('\n', '\n  ')}`),
    ...(hint ? [`hint: ${hint}`] : []),
    `code: ${error.code}`,
  ].join('\n');
}

/** `1.4 GiB`, `23.0 GiB`, `512 MiB`. */
export function mebibytes(mib: number): string {
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${Math.round(mib)} MiB`;
}
