/** Which images were current, in order: `images/history.json`. What `rollback` goes back by. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { replaceFile } from '@airlock/contract/file';
import { imagesPaths } from '@airlock/contract/home';
import { ImageId } from '@airlock/contract/ids';

const Entry = z.strictObject({
  id: ImageId,
  at: z.iso.datetime(),
  why: z.enum(['build', 'promote', 'rollback']),
});
export type HistoryEntry = z.infer<typeof Entry>;

/** Older entries than these are forgotten. */
const keptEntries = 100;

/** Oldest first; empty when there is none, or none that can be read: then there is nothing to go back to. */
export async function readHistory(imagesFolder: string): Promise<HistoryEntry[]> {
  const text = await readFile(imagesPaths(imagesFolder).history, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '[]';
    throw error;
  });
  try {
    return z.array(Entry).parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return [];
    throw error;
  }
}

export async function addToHistory(imagesFolder: string, id: string, why: HistoryEntry['why']): Promise<void> {
  const entries = [...(await readHistory(imagesFolder)), { id, at: new Date().toISOString(), why }];
  await replaceFile(imagesPaths(imagesFolder).history, `${JSON.stringify(entries.slice(-keptEntries), null, 1)}\n`);
}

/** Images that were current before `current`, newest first: one rollback after the other goes through them. Pure. */
export function earlierImages(history: readonly HistoryEntry[], current: string): string[] {
  const stack: string[] = [];
  for (const { id, why } of history) {
    if (why === 'rollback') stack.splice(Math.max(stack.lastIndexOf(id), 0));
    if (stack.at(-1) !== id) stack.push(id);
  }
  const at = stack.lastIndexOf(current);
  const before = at === -1 ? stack : stack.slice(0, at);
  return [...new Set(before.toReversed())].filter((id) => id !== current);
}
