/** The hash over everything that an image is made from: when it is the current image's, there is nothing to build. */
import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, readdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';

export interface InputEntry {
  path: string;
  type: 'file' | 'program' | 'link';
  content: Buffer;
}

/** Files and links below `root`, sorted by path. Of the mode only "executable" counts: the rest depends on the umask. */
export async function readTree(root: string): Promise<InputEntry[]> {
  const names = (await readdir(root, { recursive: true })).sort();
  const entries = await Promise.all(
    names.map(async (path): Promise<InputEntry | null> => {
      const full = join(root, path);
      const info = await lstat(full);
      if (info.isDirectory()) return null;
      if (info.isSymbolicLink()) return { path, type: 'link', content: Buffer.from(await readlink(full)) };
      return { path, type: (info.mode & 0o100) === 0 ? 'file' : 'program', content: await readFile(full) };
    }),
  );
  return entries.filter((entry) => entry !== null);
}

/** The agent's bundle as an entry. @throws AppError image_build_failed when it has not been built. */
export async function readAgent(path: string): Promise<InputEntry> {
  const content = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    throw new AppError('image_build_failed', `The agent that goes into the image is missing: there is no ${path}.`, {
      hint: 'Run `npm run build` first.',
      cause,
    });
  });
  return { path: 'agent.cjs', type: 'file', content };
}

/** SHA-256 over `description` (as JSON) and the entries, in their order; lower-case hex. */
export function hashInputs(description: unknown, entries: readonly InputEntry[]): string {
  const hash = createHash('sha256').update(JSON.stringify(description));
  for (const { path, type, content } of entries) {
    hash.update(`\0${path}\0${type}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Writes an entry below `root`. */
export async function writeEntry(root: string, { path, type, content }: InputEntry): Promise<void> {
  const target = join(root, path);
  await mkdir(dirname(target), { recursive: true });
  if (type === 'link') await symlink(content.toString(), target);
  else await writeFile(target, content, { mode: type === 'program' ? 0o755 : 0o644 });
}
