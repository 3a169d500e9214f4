/** What may be written above the read-only root while a VM runs. Everything else is a file that the image should not change. Pure. */

/** Folders, and who writes in them. (/run and /tmp are file systems of their own, in memory.) */
export const mayChange: readonly { path: string; why: string }[] = [
  { path: '/home/airlock', why: 'the desktop user’s own files: profile of the browser, settings of the CLIs' },
  { path: '/var/tmp', why: 'what it is for' },
  { path: '/var/log', why: 'what it is for' },
];

export const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** Those of `paths` (absolute) that nobody may write. */
export function unexpected(paths: readonly string[]): string[] {
  return paths.filter((path) => !mayChange.some((one) => isBelow(path, one.path)));
}
