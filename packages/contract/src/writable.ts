/** Whether a folder that Airlock needs may be written to by this process, and what to tell an operator where it may not. */
import { access, constants, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { AppError } from './errors.js';

/** The file that widens the unit, and what has to stand in it. */
export const dropIn = (folder: string): string =>
  `write the lines \`[Service]\` and \`ReadWritePaths=${folder}\` into /etc/systemd/system/airlock.service.d/paths.conf, then ` +
  '`systemctl daemon-reload && systemctl restart airlock`. The folder has to be there before, and to belong to the user of the service';

/**
 * Null when this process may make and replace files in `folder`, or may make the folder. Asked of the system beforehand: for a folder on a
 * read-only file system, Node's own `mkdir` says that something is missing.
 * @returns what was tried, what was found, and what to do; `what` names the folder's use, such as `AIRLOCK_HOME`
 */
export async function whyNotWritable(folder: string, what: string): Promise<AppError | null> {
  let there = folder;
  for (;;) {
    const { code } = await access(there, constants.W_OK | constants.X_OK).then(
      () => ({ code: null }),
      (error: NodeJS.ErrnoException) => ({ code: error.code ?? 'unknown' }),
    );
    if (code === null) return null;
    if (code !== 'ENOENT' || dirname(there) === there) return refusal({ folder, there, what, code });
    there = dirname(there);
  }
}

interface Refused {
  folder: string;
  /** The folder that refuses: `folder`, or the nearest one above that is there. */
  there: string;
  what: string;
  code: string;
}

async function refusal({ folder, there, what, code }: Refused): Promise<AppError> {
  const { uid, username } = userInfo();
  const tried = `${what} is ${folder}, and user ${username} (${uid}) cannot ${there === folder ? 'write there' : `make it in ${there}`}`;
  if (code === 'EROFS') {
    return new AppError('not_writable', `${tried}: the file system is read-only for this process (EROFS).`, {
      hint: `Everything that the systemd unit does not name is read-only for the service: ${dropIn(folder)}.`,
    });
  }
  const owner = await stat(there).then(
    (found) => `; ${there} belongs to uid ${found.uid}, mode ${(found.mode & 0o777).toString(8)}`,
    () => '',
  );
  const make = `As root: \`install -d -m 0700 -o ${username} ${folder}\`.`;
  return new AppError('not_writable', `${tried} (${code}${owner}).`, {
    hint: code === 'EACCES' ? `${make} For the service, also ${dropIn(folder)}.` : make,
  });
}
