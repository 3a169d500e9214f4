/** Who may read the file of the vault key. */

/** Where systemd hands credentials to a service, readable for its user alone: by an access list, which stat shows as the group's right. */
const credentials = '/run/credentials/';

/** Such a file cannot be written, by nobody. */
export const isSystemdCredential = (path: string): boolean => path.startsWith(credentials);

/** `mode`: as stat tells it. */
export const othersMayRead = (path: string, mode: number): boolean =>
  (mode & (isSystemdCredential(path) ? 0o037 : 0o077)) !== 0;
