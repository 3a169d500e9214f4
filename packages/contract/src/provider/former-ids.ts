/** How images of manifest version 1, their agents and older files of pins call the CLIs. Nothing is added here. */
import type { ProviderId } from './provider.js';

export const formerIds = {
  codex: 'codex',
  claude: 'claude_code',
  gemini: 'gemini_cli',
} as const satisfies Readonly<Record<string, ProviderId>>;
export type FormerId = keyof typeof formerIds;

/** The id that takes the place of a former one; any other word as it is. */
export function currentId(id: string): string {
  return Object.hasOwn(formerIds, id) ? formerIds[id as FormerId] : id;
}
