/** What commands print: tables, JSON, errors. Results go to standard output, everything else to standard error. */
import type { AppError } from '@airlock/contract/errors';

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
export const note = (text: string): void => void process.stderr.write(`${text}\n`);
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

/** Rows in aligned columns; the last column is never padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
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
