/**
 * What of the files of a login is the login: the members that the provider's file declares, written anew. A browser VM may have been
 * taken over, and what it hands out comes to lie in a persistent VM. Pure.
 */
import { z } from 'zod';
import { AppError } from '../errors.js';
import type { CredentialContent, CredentialFile, FileTexts, ProviderLogin } from './facts.js';

/** A secret or an id: printable characters without a blank. */
export const opaqueText = z.string().regex(/^[\x21-\x7e]{1,32768}$/);
/** A name or a sentence without control characters. */
export const plainText = z.string().regex(/^[^\p{Cc}\p{Cs}]{0,1024}$/u);
/** A point in time, Unix epoch milliseconds. */
export const epochMs = z.number().min(0).max(8.64e15);
/** A member that a login may have; left out when it is of another form. */
export const maybe = <T extends z.ZodType>(schema: T) => schema.nullable().optional().catch(undefined);

export interface KeptContent {
  /** By path: the declared members of each file, and nothing else. */
  files: FileTexts;
  /** What was not kept: `path: member.member`, never a value; printable, some dozens at most. */
  leftOut: readonly string[];
}

/** Names that are told; of more, only how many. */
const toldAtMost = 24;
/** A member's name that may be told: a word. Anything else could be a value that was put in the place of a name. */
const word = /^[A-Za-z_$][A-Za-z_$-]{0,39}\d{0,3}$/;

/**
 * The declared content of files that are all of this login; applying it to its own result changes nothing.
 * @throws AppError credential_invalid for a file that is no credential at all, naming what is wrong with it without a value
 */
export function keepDeclared({ credentialFiles }: ProviderLogin, files: FileTexts): KeptContent {
  const kept = new Map<string, string>();
  const leftOut: string[] = [];
  for (const file of credentialFiles) {
    const text = files.get(file.path);
    if (text === undefined) continue;
    const one = file.keeps instanceof RegExp ? keepLines(text, file.keeps) : keepMembers(file, file.keeps, text);
    kept.set(file.path, one.text);
    leftOut.push(...one.leftOut.map((name) => `${file.path}: ${name}`));
  }
  const more = leftOut.length - toldAtMost;
  return { files: kept, leftOut: more > 0 ? [...leftOut.slice(0, toldAtMost), `and ${more} more`] : leftOut };
}

/** The lines of a text that match as a whole. */
export const keptLines = (text: string, line: RegExp): string => keepLines(text, line).text;

function keepLines(text: string, line: RegExp): { text: string; leftOut: string[] } {
  const lines = text.split(/\r?\n/).filter((one) => one !== '');
  const kept = lines.filter((one) => line.exec(one)?.[0] === one);
  return {
    text: kept.map((one) => `${one}\n`).join(''),
    leftOut: kept.length < lines.length ? [`${lines.length - kept.length} lines`] : [],
  };
}

function keepMembers(
  { path }: CredentialFile,
  declared: Exclude<CredentialContent, RegExp>,
  text: string,
): { text: string; leftOut: string[] } {
  const found = jsonOf(path, text);
  const parsed = declared.safeParse(found);
  if (!parsed.success) {
    const where = parsed.error.issues.map((issue) => told(issue.path.map(String)) || 'the whole document');
    throw new AppError('credential_invalid', `${path} is not as its CLI writes it: ${where.join(', ')}.`);
  }
  return { text: `${JSON.stringify(parsed.data, null, 2)}\n`, leftOut: missingIn(parsed.data, found, []) };
}

function jsonOf(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without its cause, whose words quote the text.
    throw new AppError('credential_invalid', `${path} is not JSON.`);
  }
}

/** The members of `found` that `kept` does not have, the outermost of each. */
function missingIn(kept: unknown, found: unknown, at: readonly string[]): string[] {
  if (!isDocument(kept) || !isDocument(found)) return [];
  return Object.keys(found).flatMap((name) => {
    const inner = [...at, name];
    const value = Object.hasOwn(kept, name) ? kept[name] : undefined;
    return value === undefined ? [told(inner)] : missingIn(value, found[name], inner);
  });
}

const told = (names: readonly string[]): string =>
  names.map((name) => (word.test(name) ? name : '(a name that is no word)')).join('.');

const isDocument = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
