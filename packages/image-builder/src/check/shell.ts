/** One check of a root, and how a word is written in its shell. */
export interface Check {
  name: string;
  script: string;
  /** Goes through the whole root, so that no program of another check may be at work there. */
  walks?: true;
}

/** Where finish.sh and the checks live inside the root while it is being made. */
export const buildFolder = '/usr/lib/airlock/build';

export const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
